"""Print docs/hostile.md."""

from hostile import page

print(page(), end="")
