"""What the offline model shows on request, for the look of it: a table, code, a long answer."""

TABLE = """\
| Colour | Like | Hex |
| --- | --- | --- |
| teal | a duck's head | `#008080` |
| ochre | dry earth | `#cc7722` |
| indigo | a summer night | `#4b0082` |"""

CODE = """\
```python
def greet(name: str) -> str:
    \"\"\"Return a greeting.\"\"\"
    return f"Hello, {name}!"


print(greet("Ada"))
```"""

PARAGRAPH = (
    "This is paragraph {number} of a long answer. It has no meaning, and does not need one: it "
    "takes up room, so that you see how an answer arrives, how the page follows it, and how far "
    "back one can scroll. A real model would have something to say here."
)
LONG = "\n\n".join(PARAGRAPH.format(number=number) for number in range(1, 31))
CUT_OFF = LONG[: LONG.index("how far") + len("how far")]
