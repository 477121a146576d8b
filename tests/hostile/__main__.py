"""Print docs/hostile.md."""

from tests.hostile import page

print(page(), end="")
