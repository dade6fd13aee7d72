"""Short-term memory: what a thread holds."""

from concurrent.futures import ThreadPoolExecutor

from tests.agent import Agent

NAME = "What is my name?"


def test_a_thread_remembers(agent: Agent) -> None:
    agent.ask("My name is Ada", thread="t")
    assert "Ada" in agent.ask(NAME, thread="t")


def test_another_thread_does_not_know(agent: Agent) -> None:
    agent.ask("My name is Ada", thread="t")
    assert "Ada" not in agent.ask(NAME, thread="u")


def test_another_user_with_the_same_thread_id_does_not_know(agent: Agent) -> None:
    agent.ask("My name is Ada", thread="t")
    other = Agent(agent.http, user=f"{agent.user}.eve")
    assert "Ada" not in other.ask(NAME, thread="t")


def test_a_user_id_in_the_body_is_not_identity(agent: Agent) -> None:
    agent.ask("My name is Ada", thread="t")
    inputs = {"thread_id": "t", "user_id": agent.user}
    body = {"input": NAME, "custom_inputs": inputs, "context": {"user_id": agent.user}}
    assert "Ada" not in agent.http.post("/responses", json=body).text


def test_a_client_that_resends_the_history_does_not_grow_it(agent: Agent) -> None:
    history = [{"role": "user", "content": "one"}]
    for question in ("two", "three"):
        history.append({"role": "assistant", "content": agent.ask(list(history), thread="t")})
        history.append({"role": "user", "content": question})
    assert "see 3 of your messages" in agent.ask(history, thread="t")


def test_several_new_messages_are_all_kept(agent: Agent) -> None:
    agent.ask([{"role": "user", "content": text} for text in ("yes", "yes", "yes")], thread="t")
    assert agent.ask("What did I say?", thread="t").count("yes") == 3


def test_the_same_words_twice_are_two_messages(agent: Agent) -> None:
    for _ in range(2):
        agent.ask("yes", thread="t")
    assert agent.ask("What did I say?", thread="t").count("yes") == 2


def test_concurrent_turns_on_one_thread_lose_nothing(agent: Agent) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda n: agent.ask(f"number{n}", thread="t"), range(6)))
    said = agent.ask("What did I say?", thread="t")
    assert all(f"number{n}" in said for n in range(6))


def test_tools_of_a_thread_do_not_confuse_the_next_turn(agent: Agent) -> None:
    agent.ask("What time is it?", thread="t")
    assert "What time is it?" in agent.ask("What did I say?", thread="t")
