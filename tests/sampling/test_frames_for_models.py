"""Frames for another model: the right pictures with the seconds at which they are shown."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

import scslib
from scslib.cli.main import main
from scslib.samplers.features import FeatureSpec
from scslib.sampling.frames_for_models import frame_places, metadata_of, numbers_and_seconds
from scslib.video.clips import index_clips
from tests.support.streams import RATE, every_frame, panning, write

PICTURES = panning(96, 64, 48)
CODEC = {"x264-params": "crf=12:keyint=12:min-keyint=12:scenecut=0:bframes=2"}


def uneven_stamps():
    """Ticks of 1 / RATE: frames one to five ticks apart."""
    apart = np.random.default_rng(0).integers(1, 6, len(PICTURES))
    return (np.cumsum(apart) - apart[0]).tolist()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    write(folder / "even.mp4", PICTURES, "libx264", CODEC)
    write(folder / "uneven.mp4", PICTURES, "libx264", CODEC, stamps=uneven_stamps())
    write(folder / "late.mp4", PICTURES, "libx264", CODEC, first=40)
    return folder


def picked(path, k=3):
    return scslib.sample(path, k=k, method="packet-size")


def shown_at(path, seconds):
    """(n, H, W, 3): the frame that is shown at each moment, by a plain pass over the file."""
    frames = every_frame(path)
    times = np.array([frame.time for frame in frames])
    at = np.searchsorted(times, np.asarray(seconds) + 1e-6, side="right") - 1
    return np.stack([frames[i].to_ndarray(format="rgb24") for i in at])


@pytest.mark.parametrize("name", ["even", "uneven", "late"])
def test_frames_are_those_that_are_shown_at_their_seconds(files, name):
    path = files / f"{name}.mp4"
    found = picked(path)
    frames = found.frames(9)
    assert frames.pixels.shape == (9, 64, 96, 3) and frames.pixels.dtype == np.uint8
    assert (np.diff(frames.seconds) > 0).all() and (np.diff(frames.numbers) > 0).all()
    assert np.abs(frames.pixels.astype(int) - shown_at(path, frames.seconds)).mean() < 1.5
    clips = index_clips(path).clips
    chosen = [clips[i] for i in found.table["clip"]]
    assert all(any(c.start_s - 1e-6 <= s < c.end_s for c in chosen) for s in frames.seconds)


def test_torchcodec_seeks_to_the_same_frames(files):
    decoders = pytest.importorskip("torchcodec.decoders")
    for name in ("uneven", "late"):
        path = files / f"{name}.mp4"
        frames = picked(path).frames(7)
        theirs = decoders.VideoDecoder(str(path)).get_frames_played_at((frames.seconds + 1e-4).tolist())
        assert np.allclose(theirs.pts_seconds, frames.seconds, atol=1e-3)
        pixels = theirs.data.permute(0, 2, 3, 1).numpy().astype(int)
        assert np.abs(frames.pixels - pixels).mean() < 1.5


@pytest.mark.parametrize("name", ["even", "uneven", "late"])
def test_metadata_gives_the_seconds_in_transformers_words(files, name):
    video_utils = pytest.importorskip("transformers.video_utils")
    found = picked(files / f"{name}.mp4")
    frames = found.frames(8)
    about = video_utils.VideoMetadata(**found.metadata(frames))
    start = found.index.pts[0] * found.index.time_base
    assert np.allclose(about.timestamps, frames.seconds - start, atol=1e-3)
    times = [frame.time for frame in every_frame(files / f"{name}.mp4")]
    assert about.duration == pytest.approx(times[-1] - times[0] + found.index.frame_s)
    assert max(about.frames_indices) < about.total_num_frames
    if name != "uneven":
        assert about.frames_indices == frames.numbers.tolist() and about.fps == pytest.approx(RATE)
        assert about.total_num_frames == len(PICTURES)


def processor():
    """Qwen3-VL's, with a tokenizer of single bytes."""
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    special = ["<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>"]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokens, additional_special_tokens=special)
    video = Qwen3VLVideoProcessor(cap_pixels_per_frame=False)
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessorPil(), tokenizer=tokenizer, video_processor=video
    )


def test_a_video_language_models_processor_writes_the_true_seconds(files):
    path = files / "uneven.mp4"
    found, qwen = picked(path), processor()
    frames = found.frames(8)
    text = "<|vision_start|><|video_pad|><|vision_end|>What happens?"
    inputs = qwen(
        text=[text],
        videos=[frames.pixels],
        video_metadata=[found.metadata(frames)],
        do_sample_frames=False,
        do_resize=False,
    )
    words = qwen.tokenizer.decode(inputs["input_ids"][0]).split("<")
    said = [float(word.split()[0]) for word in words if word.endswith("seconds>")]
    pairs = frames.seconds.reshape(-1, 2).mean(1)  # it merges two frames
    assert np.allclose(said, pairs, atol=0.051)
    given = inputs["pixel_values_videos"].mean().item() * 127.5 + 127.5  # of -1..1
    assert given == pytest.approx(shown_at(path, frames.seconds).mean(), abs=1)


def test_frames_are_shared_out_over_the_clips(files):
    index = FeatureSpec(clip_len=16).index(files / "even.mp4")
    places = frame_places(index, [2, 0], 5)
    assert [(clip, len(some)) for clip, some in places] == [(0, 2), (2, 3)]
    numbers, seconds = numbers_and_seconds(index, places)
    assert numbers.tolist() == [4, 12, 34, 40, 45] and np.allclose(seconds, numbers / RATE)
    few = numbers_and_seconds(index, frame_places(index, [0, 1, 2], 2))[0]
    assert len(few) == 2
    every = numbers_and_seconds(index, frame_places(index, [1], 99))[0]
    assert every.tolist() == list(range(16, 32))
    with pytest.raises(ValueError, match=r"n \(0\)"):
        frame_places(index, [0], 0)


def test_the_command_writes_a_line_for_each_video(files, tmp_path):
    target = tmp_path / "frames.jsonl"
    videos = [str(files / f"{name}.mp4") for name in ("even", "uneven")]
    options = ["--sampler", "packet-size", "-k", "3", "--frames", "6", str(target)]
    done = CliRunner().invoke(main, ["sample", *videos, *options])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["video"] for line in lines] == videos
    for line in lines:
        found = picked(line["video"])
        frames = found.frames(6)
        assert line["numbers"] == frames.numbers.tolist()
        assert np.allclose(line["seconds"], frames.seconds, atol=1e-5)
        assert {n: line[n] for n in ("fps", "frames_indices")} == {
            n: metadata_of(found.index, frames.numbers)[n] for n in ("fps", "frames_indices")
        }
