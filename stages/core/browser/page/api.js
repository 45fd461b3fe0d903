// Requests to the local server that serves this page, and to nobody else.

/** An answer that is not a success, or no answer at all (status 0). */
export class ServerError extends Error {
  constructor(message, status, body = null) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** GET an address; return the decoded JSON. */
export async function getJson(path) {
  return body(await request(path, {}));
}

/** GET an address; return the bytes. */
export async function getBlob(path, signal) {
  return (await request(path, { signal })).blob();
}

/** POST a JSON body; return the decoded JSON of the answer. */
export async function postJson(path, value) {
  const headers = { "Content-Type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(value) };
  return body(await request(path, options));
}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError("the server does not answer", 0);
  }
  if (answer.ok) return answer;
  const refusal = await answer.json().catch(() => null);
  const reason = refusal?.error ?? `the server answers ${answer.status}`;
  throw new ServerError(reason, answer.status, refusal);
}

/** The JSON of an answer; one that was cut off counts as none. */
async function body(answer) {
  try {
    return await answer.json();
  } catch {
    throw new ServerError("the server's answer was cut off", 0);
  }
}
