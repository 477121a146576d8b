"""`python benchmarks extract` and the like; see README.md beside this file."""

from scs_bench.main import bench

bench(prog_name="python benchmarks")
