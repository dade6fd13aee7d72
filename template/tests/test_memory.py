"""Long-term memory: facts about a user."""

from tests.agent import Agent

KNOWN = "What do you know about me?"


def test_a_fact_is_known_in_another_thread(agent: Agent) -> None:
    agent.ask("Remember that I like teal", thread="t")
    assert "teal" in agent.ask(KNOWN, thread="u")


def test_nothing_is_known_about_a_stranger(agent: Agent) -> None:
    assert "nothing" in agent.ask(KNOWN)


def test_a_fact_is_not_known_about_another_user(agent: Agent) -> None:
    agent.ask("Remember that I like teal")
    for other in (f"{agent.user}0", agent.user[:-1], f"{agent.user}.x"):
        assert "teal" not in Agent(agent.http, other).ask(KNOWN)


def test_the_nearest_memory_comes_first(agent: Agent) -> None:
    for fact in ("my cat is called Tom", "I work in Ghent", "my favourite colour is teal"):
        agent.ask(f"Remember that {fact}")
    answer = agent.ask("What do you remember about the colour I prefer?")
    assert answer.split("\n- ")[1] == "my favourite colour is teal"


def test_a_forgotten_fact_is_gone(agent: Agent) -> None:
    agent.ask("Remember that I like teal")
    agent.ask("Forget that I like teal")
    assert "teal" not in agent.ask(KNOWN)


def test_the_model_never_sees_whose_memory_it_is(agent: Agent) -> None:
    agent.ask("Remember that I like teal")
    response = agent.post({"input": KNOWN}).json()
    assert agent.user not in str(response["output"])
