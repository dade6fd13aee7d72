"""What the command line says to a command or an option that does not exist."""

from pathlib import Path

import pytest

from tests.support.commands import run_here


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["updat"], "there is no command updat: did you mean update?"),
        (["--verson"], "there is no command --verson: did you mean --version?"),
        (["xyz"], "the commands are new, update, adopt, link, doctor, add-tool"),
        (["new", "p", "--dta", "framework=openai"], "no option --dta: did you mean --data?"),
        (["update", "--too=v0.3.0"], "no option --too: did you mean --to?"),
        (["adopt", "--wires"], "no option --wires: did you mean --wire?"),
        (["link", "--traget", "prod"], "no option --traget: did you mean --target?"),
        (["doctor", "--jsn"], "no option --jsn: did you mean --json?"),
        (["doctor", "one", "two"], "unrecognized arguments: two"),
        (["add-tool", "genie", "--as-usr"], "no option --as-usr: did you mean --as-user?"),
        (["doctor", "-x"], "there is no option -x\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_exist_is_an_error_with_the_nearest_name(
    tmp_path: Path, given: list[str], says: str
) -> None:
    done = run_here(tmp_path, *given)
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["new", "update", "adopt", "link", "doctor", "add-tool"])
def test_the_usage_that_is_shown_is_that_of_the_command(tmp_path: Path, command: str) -> None:
    usage = run_here(tmp_path, command, "here", "--nothing-like-it").stderr
    assert usage.startswith(f"usage: lakebase-agent {command} ")
