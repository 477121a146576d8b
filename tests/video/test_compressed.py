"""The compressed stream: against reference vectors of another tool, and against plain loops."""

import av
import numpy as np
import pytest

from scslib.video.clips import index_clips
from scslib.video.compressed import iter_compressed
from scslib.video.vectors import estimate, vectors
from tests.support.streams import FRAMES, GOP, PAN, encode, every_frame, panning

COLUMNS = "source w h src_x src_y dst_x dst_y motion_x motion_y motion_scale".split()


def first_frames(path, count=30):
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.options = {"flags2": "+export_mvs"}
        for number, frame in enumerate(container.decode(video=0)):
            if number == count:
                return
            yield number, frame


def grid_by_hand(rows, height: int, width: int) -> np.ndarray:
    """MD on 8 x 8 cells from reference rows, block by block."""
    grid = np.zeros((-(-height // 8), -(-width // 8), 2), np.float32)
    for source, w, h, _, _, dst_x, dst_y, motion_x, motion_y, scale in rows.tolist():
        if source >= 0:
            continue  # into the future
        for y in range(dst_y - h // 2, dst_y + h // 2, 8):
            for x in range(dst_x - w // 2, dst_x + w // 2, 8):
                if 0 <= y < height and 0 <= x < width:
                    grid[y // 8, x // 8] = -motion_x / scale, -motion_y / scale
    return grid


@pytest.mark.parametrize("codec", ["h264", "mpeg4_part2"])
def test_real_vectors_equal_the_reference(real, codec):
    folder = real / "motion_vectors"
    types = (folder / codec / "frame_types.txt").read_text().split()
    moving = 0
    for number, frame in first_frames(folder / f"vid_{codec}.mp4"):
        reference = np.load(folder / codec / f"mvs-{number}.npy").reshape(-1, 10)
        data = frame.side_data.get("MOTION_VECTORS")
        rows = np.zeros((0, 10), int)
        if data is not None:
            data = data.to_ndarray()
            rows = np.stack([data[name].astype(int) for name in COLUMNS], axis=1)
        np.testing.assert_array_equal(rows, reference)
        expected = grid_by_hand(reference, frame.height, frame.width)
        np.testing.assert_array_equal(vectors(frame), expected)
        assert av.video.frame.PictureType(frame.pict_type).name == types[number]
        moving += bool(expected.any())
    assert number == 29 and moving > 20


def test_future_vectors_are_left_out(tmp_path):
    path = encode(tmp_path / "b.mp4", panning(96, 64), "libx264", {"bf": "2", "g": "12"})
    both = 0
    for frame in every_frame(path, vectors=True):
        data = frame.side_data.get("MOTION_VECTORS")
        if data is None:
            continue
        data = data.to_ndarray()
        both += bool((data["source"] > 0).any())
        rows = np.stack([data[name].astype(int) for name in COLUMNS], axis=1)
        np.testing.assert_array_equal(vectors(frame), grid_by_hand(rows, 64, 96))
    assert both > 5  # the stream does hold B-frames


def test_known_pan_gives_known_motion_in_the_middle(pan):
    clips = list(iter_compressed(index_clips(pan.path)))
    assert len(clips) == FRAMES // 16
    seen = 0
    for clip in clips:
        for motion, moved in zip(clip.motion[:, 2:-2, 2:-2], clip.predicted, strict=True):
            if moved:
                right = np.abs(motion - PAN).max(-1) <= 0.5
                assert right.mean() > 0.9
                seen += 1
    assert seen == 29  # 32 frames, of which 0, 12 and 24 are I-frames


def test_accumulated_pan_grows_with_the_distance_from_the_iframe(pan):
    for clip in iter_compressed(index_clips(pan.path), accumulate=True):
        for t, motion in enumerate(clip.motion):
            since = (clip.index * 16 + t) % GOP
            middle = np.median(motion[3:-3, 3:-3], axis=(0, 1))
            np.testing.assert_allclose(middle, np.array(PAN) * since, atol=1.0)


def test_clip_motion_equals_a_loop_over_cells(pan):
    frames = every_frame(pan.path, vectors=True)
    for clip in iter_compressed(index_clips(pan.path), residuals=False):
        for t in range(16):
            fine = vectors(frames[clip.index * 16 + t])
            for y in range(8):
                for x in range(10):
                    block = fine[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(4, 2)
                    np.testing.assert_allclose(clip.motion[t, y, x], sum(block) / 4, atol=1e-5)
        assert not clip.residual.any()


def rgb(frame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24").astype(float)


def pull(picture: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """`picture` at the source of every pixel, pixel by pixel."""
    height, width = picture.shape[:2]
    out = np.empty_like(picture)
    for y in range(height):
        for x in range(width):
            dx, dy = np.rint(moved[y // 8, x // 8]).astype(int)
            out[y, x] = picture[min(max(y - dy, 0), height - 1), min(max(x - dx, 0), width - 1)]
    return out


def blocks(picture: np.ndarray) -> np.ndarray:
    """Mean over 16 x 16 pixels, block by block."""
    height, width = picture.shape[:2]
    rows = [
        [picture[y : y + 16, x : x + 16].mean((0, 1)) for x in range(0, width - 15, 16)]
        for y in range(0, height - 15, 16)
    ]
    return np.array(rows)


def close(residual, expected, levels=2.0):
    """The kit works in YCbCr and rounds nothing; libswscale rounds, clips and smooths colour."""
    off = np.abs(residual - expected)
    assert off.max() < levels and off.mean() < levels / 6, (off.max(), off.mean())


def test_residual_equals_a_loop_on_rgb(small):
    frames = every_frame(small.path, vectors=True)
    size = 0.0
    for clip in iter_compressed(index_clips(small.path)):
        for t in range(16):
            now = clip.index * 16 + t
            if not clip.predicted[t]:
                continue
            compensated = pull(rgb(frames[now - 1]), vectors(frames[now]))
            expected = blocks(rgb(frames[now]) - compensated)
            close(clip.residual[t], expected)
            size = max(size, np.abs(expected).max())
    assert size > 10  # there is something to compare


def test_accumulated_motion_and_residual_equal_a_loop_over_pixels(small):
    """CoViAR: every pixel is traced back through the vectors to the last I-frame."""
    frames = every_frame(small.path, vectors=True)
    height, width = small.pictures[0].shape[:2]
    here = np.array([[(x, y) for x in range(width)] for y in range(height)], float)
    size = 0.0
    clips = {c.index: c for c in iter_compressed(index_clips(small.path), accumulate=True)}
    for number, frame in enumerate(frames[: 16 * len(clips)]):
        clip, t = clips[number // 16], number % 16
        if number % GOP == 0:
            source, anchor = here, rgb(frame)
            assert not clip.motion[t].any() and not clip.residual[t].any()
            continue
        source = pull(source, vectors(frame))
        np.testing.assert_allclose(clip.motion[t], blocks(here - source), atol=1e-4)
        whole = source.astype(int)
        expected = blocks(rgb(frame) - anchor[whole[..., 1], whole[..., 0]])
        close(clip.residual[t], expected)
        size = max(size, np.abs(expected).max())
    assert size > 10


X264 = "keyint=15:min-keyint=15:scenecut=0:b-adapt=0:"
REFERENCES = {
    "b.mp4": ("libx264", {"crf": "20", "x264-params": X264 + "bframes=3:b-pyramid=normal:ref=1"}),
    "refs.mp4": ("libx264", {"crf": "20", "x264-params": X264 + "bframes=0:ref=4"}),
    "refs_b.mkv": ("libx264", {"crf": "20", "x264-params": X264 + "bframes=2:ref=4"}),
    "mpeg4_b.avi": ("mpeg4", {"g": "15", "bf": "2", "qmin": "3", "qmax": "3"}),
    "mpeg2_b.ts": ("mpeg2video", {"g": "15", "bf": "2", "qmin": "3", "qmax": "3"}),
    "vp9.webm": ("libvpx-vp9", {"g": "15", "deadline": "realtime", "cpu-used": "8", "b": "400000"}),
}


@pytest.fixture(scope="module", params=REFERENCES)
def referring(request, tmp_path_factory):
    """(file, its frames with vectors, their cells by hand, position of each P-frame's reference)."""
    path = tmp_path_factory.mktemp("refs") / request.param
    light = np.random.default_rng(1).integers(-25, 26, (30, 3))
    pictures = [np.clip(p + o, 0, 255) for p, o in zip(panning(64, 48, 30), light, strict=True)]
    encode(path, [p.astype(np.uint8) for p in pictures], *REFERENCES[request.param])
    frames = every_frame(path, vectors=True)
    estimated = "vp9" in request.param
    if estimated:
        frames = list(estimate(iter(frames)))
    cells, reference, last = [], {}, None
    for number, frame in enumerate(frames):
        data = frame.side_data.get("MOTION_VECTORS")
        rows = np.zeros((0, 10), int)
        if data is not None:
            data = data.to_ndarray().copy()
            if estimated:  # that filter fills in the positions alone
                data["motion_x"] = data["src_x"].astype(int) - data["dst_x"]
                data["motion_y"] = data["src_y"].astype(int) - data["dst_y"]
                data["motion_scale"] = 1
            rows = np.stack([data[name].astype(int) for name in COLUMNS], axis=1)
        cells.append(grid_by_hand(rows, 48, 64))
        kind = av.video.frame.PictureType(frame.pict_type).name
        kind = {True: "I", False: "P"}[bool(frame.key_frame)] if estimated else kind
        if kind == "P":
            reference[number] = last
        last = number if kind in "IP" else last
    return path, frames, cells, reference


def test_references_are_the_i_or_p_frame_before(referring):
    """B-frames are looked over: MD is divided by the distance, the residual is to the frame there."""
    path, frames, cells, reference = referring
    assert ("b." not in path.name) == all(now - before == 1 for now, before in reference.items())
    size = 0.0
    for clip in iter_compressed(index_clips(path, clip_len=10)):
        for t in range(10):
            now = clip.index * 10 + t
            assert clip.predicted[t] == (now in reference)
            if now not in reference:
                assert not clip.motion[t].any() and not clip.residual[t].any()
                continue
            before = reference[now]
            whole = np.kron(cells[now], np.ones((8, 8, 1))) / (now - before)
            np.testing.assert_allclose(clip.motion[t], blocks(whole), atol=1e-4)
            expected = blocks(rgb(frames[now]) - pull(rgb(frames[before]), cells[now]))
            close(clip.residual[t], expected)
            size = max(size, np.abs(expected).max())
    assert size > 10 and len(reference) >= 6


def test_accumulated_through_p_frames_only(referring):
    path, frames, cells, reference = referring
    here = np.array([[(x, y) for x in range(64)] for y in range(48)], float)
    for clip in iter_compressed(index_clips(path, clip_len=10), accumulate=True):
        for t in range(10):
            now = clip.index * 10 + t
            if now not in reference:
                assert not clip.motion[t].any() and not clip.residual[t].any()
                continue
            if reference[now] not in reference:  # an I-frame
                source, anchor = here, rgb(frames[reference[now]])
            source = pull(source, cells[now])
            np.testing.assert_allclose(clip.motion[t], blocks(here - source), atol=1e-4)
            whole = source.astype(int)
            expected = blocks(rgb(frames[now]) - anchor[whole[..., 1], whole[..., 0]])
            close(clip.residual[t], expected)


def test_iframes_are_still_and_marked(pan):
    frames = every_frame(pan.path)
    for clip in iter_compressed(index_clips(pan.path)):
        at = [t for t in range(16) if (clip.index * 16 + t) % GOP == 0]
        assert list(np.flatnonzero(~clip.predicted)) == at
        assert not clip.motion[at].any() and not clip.residual[at].any()
        for picture, t in zip(clip.iframes, at, strict=True):
            np.testing.assert_array_equal(picture, rgb(frames[clip.index * 16 + t]))


def test_clip_without_an_iframe_gets_the_last_one_before_it(movie):
    frames = every_frame(movie.path)
    clips = list(iter_compressed(index_clips(movie.path, clip_len=4)))
    assert len(clips) == 10
    for clip in clips:
        assert clip.predicted.all() == (clip.index % 3 != 0)
        assert len(clip.iframes) == 1
        np.testing.assert_array_equal(clip.iframes[0], rgb(frames[clip.index // 3 * GOP]))


@pytest.mark.parametrize("stride", [3, 5, 13])
def test_stride_may_differ_from_length(movie, stride):
    single = list(iter_compressed(index_clips(movie.path, clip_len=1)))
    index = index_clips(movie.path, clip_len=5, clip_stride=stride)
    clips = list(iter_compressed(index))
    assert len(clips) == len(index) == 1 + (FRAMES - 5) // stride
    for clip in clips:
        for t in range(5):
            one = single[clip.index * stride + t]
            np.testing.assert_array_equal(clip.motion[t], one.motion[0])
            np.testing.assert_array_equal(clip.residual[t], one.residual[0])
            assert clip.predicted[t] == one.predicted[0]


def test_scaled_iframes_have_the_size_asked_for(movie):
    clip = next(iter_compressed(index_clips(movie.path), iframe_size=(24, 32)))
    assert clip.iframes.shape[1:] == (24, 32, 3)


@pytest.mark.parametrize("width, height", [(64, 10), (10, 64), (6, 6), (34, 50)])
@pytest.mark.parametrize("accumulate", [False, True])
def test_odd_and_tiny_pictures(tmp_path, width, height, accumulate):
    path = encode(tmp_path / "t.mp4", panning(width, height, 6), "mpeg4", {"g": "12"})
    (clip,) = iter_compressed(index_clips(path, clip_len=6), accumulate=accumulate)
    assert clip.motion.shape == (6, max(1, height // 16), max(1, width // 16), 2)
    assert np.isfinite(clip.residual).all() and clip.residual[1:].any()


def test_a_change_of_picture_size_ends_the_video(tmp_path):
    for number, width in enumerate((96, 64)):
        encode(tmp_path / f"{number}.ts", panning(width, 64, 12), "mpeg4", {"g": "12"})
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / f"{n}.ts").read_bytes() for n in (0, 1)))
    shapes = {c.motion.shape for c in iter_compressed(index_clips(joined, clip_len=4))}
    assert shapes == {(4, 4, 6, 2)}
