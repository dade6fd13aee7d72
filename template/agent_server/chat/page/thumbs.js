/** What the user thinks of an answer. */

import { request } from "./api.js";
import { ask, attempt, element, iconButton } from "./dom.js";
import { responseTo } from "./ids.js";
import { t } from "./words.js";

/** Return the two thumbs, of which one may be pressed. */
export function thumbs(question) {
  const place = element("span", { class: "said", role: "status" });
  const make = (picture, name, value) => {
    const button = iconButton(picture, name, () => attempt(place, () => judge(value)));
    return Object.assign(button, { value });
  };
  const both = [make("up", t("like"), "true"), make("down", t("dislike"), "false")];
  const show = () => {
    for (const each of both) each.setAttribute("aria-pressed", each.value === `${question.liked}`);
  };
  const judge = async (clicked) => {
    const value = `${question.liked}` === clicked ? null : clicked === "true";
    const response_id = responseTo(question.dataset.id);
    await request("POST", "api/feedback", { body: { response_id, value } });
    question.liked = value;
    show();
    if (value !== false) return;
    const options = { detail: t("comment_detail"), action: t("comment_send"), value: "", most: 2000 };
    const comment = await ask(t("comment_question"), options);
    if (comment) await request("POST", "api/feedback", { body: { response_id, value, comment } });
    if (comment) place.textContent = t("thanks");
  };
  show();
  return [...both, place];
}
