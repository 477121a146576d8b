"""The K salient clips of any video: `scslib.sample` for one, `sample_files` for many."""
