"""The inputs of samplers: I-frames, motion, residuals, log-mel sound.

For B clips with S pictures each:

    iframes   (B, S, 3, H, W)    RGB, normalised            S = its I-frames
    motion    (B, S, 2, h, w)    pixels / 8                 S = its P-frames
    residual  (B, S, 3, h, w)    levels / 16                S = its P-frames
    audio     (B, 1, 200, 40)    (log energy + 6) / 3       one picture for the whole clip

No import of PyTorch here: processes that only read videos need the names.
"""

from __future__ import annotations

VISUAL = ("iframes", "motion", "residual")
MODALITIES = (*VISUAL, "audio")
CHANNELS = {"iframes": 3, "motion": 2, "residual": 3}

# What enters a network is (value - centre) / spread.
SCALES = {
    "iframes": (114.75, 57.0),
    "motion": (0.0, 8.0),
    "residual": (0.0, 16.0),
    "audio": (-6.0, 3.0),
}
