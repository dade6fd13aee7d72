/** Requests to the server; failures are sentences to show. */

/** What went wrong, in words for the user. */
export class Failure extends Error {
  /** `status` is the response's; undefined without a response. */
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** Send a request and return its response; throws a Failure, or an AbortError once aborted. */
export async function request(method, path, { body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (body) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("The server cannot be reached. Check the connection, and try again.");
  }
  if (!response.ok) throw new Failure(await sentence(response), response.status);
  return response;
}

/** Return one page of a list, the path of the next page, and the running response's id, if any. */
export async function getPage(path) {
  const response = await request("GET", path);
  const [, query] = /<[^>?]*(\?[^>]*)>/.exec(response.headers.get("Link") ?? "") ?? [];
  return {
    items: await response.json(),
    next: query && path.split("?")[0] + query,
    responseId: response.headers.get("X-Response-Id"),
  };
}

/** Return the latest page of messages, grown until it has one that `begins`: the last question. */
export async function getLatest(path, begins = ({ role }) => role === "user") {
  const page = await getPage(path);
  while (page.next && !page.items.some(begins)) {
    const { items, next } = await getPage(page.next);
    page.items.unshift(...items);
    page.next = next;
  }
  return page;
}

/**
 * Whether stored messages have all questions that are shown, and a complete answer to the last.
 * `shown` are the ids of the questions, if loaded; both are counted from the one that is `known`.
 */
export function isAnswered(items, shown, known) {
  const stored = items.filter(({ role }) => role === "user").map(({ id }) => id);
  const since = (ids) => ids.length - ids.indexOf(known);
  const last = items.at(-1);
  return last?.role === "assistant" && !last.partial && since(shown) === since(stored);
}

async function sentence(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered with status ${response.status}. Try again.`;
  }
}
