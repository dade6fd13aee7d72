/** What is offered when there is no whole answer: to send again, or to ask again. */

import { Failure, getLatest, isAnswered } from "./api.js";
import { element, explain } from "./dom.js";
import { userMessage } from "./messages.js";
import { Stopped } from "./turn.js";
import { t } from "./words.js";

/** Say below the messages why there is no answer, and offer to ask again, which `again` does. */
export function offerRetry(conversation, problem, again = null, label = t("retry")) {
  const asked = conversation.asked.at(-1);
  const retry = async () => {
    offer.remove(); // so that it can't be pressed twice
    conversation.list.closest("main").focus();
    if (again) await again();
    else if (asked) await askAgain(conversation, asked.said, {}, asked.files);
    else await conversation.load();
  };
  const stopped = problem instanceof Stopped;
  const row = stopped ? toStopped(retry) : explain(problem, label, retry);
  const offer = element("li", { class: "offer" }, row);
  conversation.list.append(offer);
}

/** Show a message that this browser kept because it was not sent, and offer to send it. */
export function showUnsent(conversation, { text, more }) {
  if (Object.keys(more).length) conversation.removeAnswer()?.remove();
  conversation.list.append(userMessage(text));
  const again = () => askAgain(conversation, text, more, []);
  offerRetry(conversation, new Failure(t("not_sent")), again, t("send_again"));
}

/** Ask the last question again, unless the server has its answer by now, or is about to. */
export async function askAgain(conversation, text, more, files) {
  const ids = conversation.asked.map(({ dataset }) => dataset.id);
  const known = ids.findLast(Boolean) ?? "";
  const page = await getLatest(conversation.messages, ({ id }) => id === known).catch(() => ({
    items: [],
  }));
  const { items, responseId } = page;
  const edited = "replaces" in more;
  if (responseId || (!edited && isAnswered(items, ids, known))) return conversation.load();
  const last = items.at(-1);
  const stored = items.findLast(({ role }) => role === "user")?.content;
  const unanswered = stored === text && (last.partial || last.role === "user");
  const trigger = unanswered ? { trigger: "regenerate-message" } : {};
  conversation.removeAnswer().remove();
  await conversation.send(text, Object.keys(more).length ? more : trigger, files);
}

/** Return a line that says, without alarm, that the user stopped the answer. */
function toStopped(again) {
  const button = { type: "button", class: "plain", click: again };
  const line = element("p", {}, t("stopped"));
  return element("div", { class: "stopped" }, line, element("button", button, t("regenerate")));
}
