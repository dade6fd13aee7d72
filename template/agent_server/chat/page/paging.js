/** The messages before those that are shown. */

import { dress } from "./actions.js";
import { getPage } from "./api.js";
import { attempt, element } from "./dom.js";
import { toElements } from "./messages.js";
import { t } from "./words.js";

/** Offer to show what comes before the first message, if `next` leads to it. */
export function offerEarlier(conversation, next) {
  if (!next) return;
  const place = element("div");
  const show = async () => {
    const { items, next: further } = await getPage(next);
    const scroller = conversation.list.closest("main");
    const below = scroller.scrollHeight - scroller.scrollTop;
    row.replaceWith(...toElements(items));
    offerEarlier(conversation, further);
    dress(conversation);
    scroller.scrollTop = scroller.scrollHeight - below;
    scroller.focus({ preventScroll: true });
  };
  const button = { type: "button", class: "plain", click: () => attempt(place, show) };
  const label = element("button", button, t("show_earlier"));
  const row = element("li", { class: "earlier" }, label, place);
  row.show = show;
  conversation.list.prepend(row);
}

/** Show all earlier messages. */
export async function showAll({ list }) {
  for (let row = list.firstChild; row?.show; row = list.firstChild) await row.show();
}
