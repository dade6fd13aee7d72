/** The earlier versions of a question and its answer, to leaf through. */

import { getPage } from "./api.js";
import { answerOf, setBar } from "./bars.js";
import { attempt, element, iconButton } from "./dom.js";
import { toElements } from "./messages.js";
import { t } from "./words.js";

/** Return buttons that lead to the version before the one that is shown, and to the next. */
export function leaf(conversation, question) {
  return toButtons(question.earlier + 1, question.earlier, (place) => show(conversation, question, place));
}

function toButtons(count, place, go) {
  const trouble = element("span");
  const step = (by) => attempt(trouble, () => go(place + by));
  const before = iconButton("before", t("earlier_version"), () => step(-1));
  const after = iconButton("after", t("later_version"), () => step(1));
  before.disabled = place === 0;
  after.disabled = place === count - 1;
  const where = element("span", { class: "quiet" }, t("version", { place: place + 1, count }));
  return [before, where, after, trouble];
}

/** Show a version; the last is the conversation's own. */
async function show(conversation, question, place) {
  question.versions ??= await load(conversation, question);
  const count = question.versions.length + 1;
  showLast(conversation);
  const own = [question];
  for (let row = question.nextSibling; row && !row.matches(".user"); row = row.nextSibling) own.push(row);
  const isLast = place === count - 1;
  for (const row of own) row.hidden = !isLast;
  if (isLast) return focus(answerOf(question));
  const made = toElements(question.versions[place]);
  for (const row of made) row.classList.add("old");
  question.before(...made);
  const last = made.at(-1);
  last.append(element("p", { class: "quiet" }, t("version_note")));
  setBar(last, t("about_answer"), toButtons(count, place, (to) => show(conversation, question, to)));
  focus(last);
}

/** Show the last version of every question: those from which the conversation goes on. */
export function showLast({ list }) {
  for (const old of list.querySelectorAll(".old")) old.remove();
  for (const own of list.querySelectorAll(":scope > [hidden]")) own.hidden = false;
}

async function load(conversation, question) {
  let path = `${conversation.messages}/${question.dataset.id}/earlier`;
  const messages = [];
  while (path) {
    const { items, next } = await getPage(path);
    messages.unshift(...items);
    path = next;
  }
  const versions = [];
  for (const message of messages) {
    if (message.role === "user") versions.push([]);
    versions.at(-1).push(message);
  }
  return versions;
}

const focus = (message) => message?.querySelector(".actions :is(.before, .after):enabled")?.focus();
