"""Long untrimmed videos with sound, drawn and encoded on the spot: `scs data synth`.

Each video is a chain of shots with a background, colours and a camera of their own, and every shot
shows two actors. In the **action**, about a tenth of the time, they perform the video's class *with each
other*: what the one does, the other does against it, point by point. The rest misleads an average over
all clips:

    still    the two stand                       pan      the camera travels over the two
    cuts     two others, twice a second          stroll   each wanders on its own
    decoy    the two perform the movement of *another* class side by side, in step; and mostly the same
             other class throughout one video. A part of the decoys, the mimics, perform it as in an
             action: that cannot be seen, only heard

Actors of all shots come from the same range of sizes, colours and speeds, and whatever sounds comes from
the same range of loudness, so that no rule about how much, how fast, how large or how loud finds the
action: *which* movement and *which* sound tell it. Most actions are on a stage, whose edge lies; most
other shots are before a wall, whose edge stands: that is what single pictures know.

A single picture says very little about the class: shape, size, colour, place and background are drawn
independently of it, and classes come in pairs that differ in time only (fast and slow, forward and
backward). The voice of the class is missing in a part of the actions; elsewhere other voices sound.
`segments.csv` says where the action is, for checking and for trimmed training of f.
"""
