/** What can be done with a message: copy it, edit or answer it anew, judge it, leaf through it. */

import { answerOf, setBar } from "./bars.js";
import { copyText, iconButton } from "./dom.js";
import { thumbs } from "./thumbs.js";
import { leaf } from "./versions.js";
import { t } from "./words.js";

/** Give every message of a conversation its buttons, as far as they have changed. */
export function dress(conversation) {
  const asked = conversation.asked;
  for (const question of asked) {
    const isLast = question === asked.at(-1) && !conversation.run;
    const settled = isLast && !conversation.list.querySelector(".offer");
    dressTurn(conversation, question, { isLast, settled, runs: turnRuns(conversation, question) });
  }
}

const turnRuns = ({ run, asked }, question) => Boolean(run) && question === asked.at(-1);

function dressTurn(conversation, question, state) {
  const answer = answerOf(question);
  const key = JSON.stringify([state, question.dataset.id, question.earlier, Boolean(answer)]);
  if (question.dressed === key) return;
  question.dressed = key;
  const buttons = [copyButton(question, () => question.said)];
  if (state.isLast && question.said) buttons.push(editButton(conversation, question));
  setBar(question, t("about_question"), buttons);
  if (!answer) return;
  const below = [copyButton(answer, () => answer.markdown)];
  if (question.dataset.id) below.push(...thumbs(question));
  if (state.settled) {
    const again = () => conversation.replaceLast();
    below.push(iconButton("again", t("regenerate"), again));
  }
  if (question.earlier) below.push(...leaf(conversation, question));
  setBar(answer, t("about_answer"), state.runs ? [] : below);
}

function copyButton(message, text) {
  return iconButton("copy-it", t("copy_message"), ({ target }) => copyText(target, text()));
}

function editButton(conversation, question) {
  return iconButton("rename", t("edit_question"), () => edit(conversation, question));
}

/** Let the user edit a question, or else the last one. */
export const edit = async (...what) => (await import("./editing.js")).edit(...what);
