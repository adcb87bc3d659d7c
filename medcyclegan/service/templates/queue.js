"use strict";
// The queue: asks the service every two seconds and shows what changed. Text only goes in as text.

const ASK_EVERY_MS = 2000;
const csrf = () => document.querySelector("meta[name=csrf]").content;
const names = {
  of: (id) => sessionStorage.getItem(`name ${id}`),
  keep: (id, name) => sessionStorage.setItem(`name ${id}`, name),
};

/** Ask the service for something; a text that says what is wrong is thrown. */
async function ask(method, path, signal) {
  let answer;
  try {
    answer = await fetch(path, { method, headers: { "X-CSRF-Token": csrf() }, signal });
  } catch {
    throw new Error("The service does not answer.");
  }
  if (answer.status === 401) location.assign("/login");
  const text = await answer.text();
  const told = text ? JSON.parse(text) : {};
  if (!answer.ok) throw new Error(told.error ?? `The service answered ${answer.status}.`);
  return told;
}

function element(tag, { text, className, ...more } = {}, ...children) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(more)) made.setAttribute(name, value);
  made.append(...children.filter(Boolean));
  return made;
}

// The states of a delivery as they are told: once it is looked through, its images have states of their own.
const TOLD = { received: "complete", planned: "complete" };
const badge = (state) => element("span", { text: TOLD[state] ?? state, className: `badge ${state}` });
const paragraph = (text, className) => (text ? element("p", { text, className }) : null);
const counted = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

class Queue {
  constructor(table, state) {
    this.body = table.tBodies[0];
    this.state = state;
    this.shown = new Map();
    this.ahead = 0; // seconds that the clock of the service is ahead of ours
    this.refresh();
    setInterval(() => document.hidden || this.refresh(), ASK_EVERY_MS);
    setInterval(() => this.count(), 1000);
    document.addEventListener("visibilitychange", () => document.hidden || this.refresh());
  }

  async refresh() {
    try {
      const { deliveries, now, faults } = await ask("GET", "/api/queue");
      this.ahead = now - Date.now() / 1000;
      this.show(deliveries);
      const waiting = deliveries.flatMap(({ jobs }) => jobs).filter(({ state }) => state === "waiting").length;
      const parts = [`${deliveries.length ? counted(deliveries.length, "delivery").replace("deliverys", "deliveries") : "Nothing has arrived yet"}`];
      if (waiting) parts.push(`${counted(waiting, "image")} waiting`);
      this.say([...parts, ...faults].join(", ") + ".", faults.length > 0);
    } catch (error) {
      this.say(error.message, true);
    }
  }

  say(text, bad) {
    if (this.state.textContent !== text) this.state.textContent = text;
    this.state.classList.toggle("reason", bad);
  }

  /** Rows that did not change stay as they are, with focus and what was opened. */
  show(deliveries) {
    const ids = new Set(deliveries.map(({ id }) => id));
    for (const [id, { row }] of this.shown) {
      if (!ids.has(id)) {
        row.remove();
        this.shown.delete(id);
      }
    }
    deliveries.forEach((delivery, n) => {
      const text = JSON.stringify(delivery);
      const before = this.shown.get(delivery.id);
      let row = before?.row;
      if (before?.text !== text) {
        const focus = before && document.activeElement?.dataset.key;
        const open = Boolean(before?.row.querySelector("details[open]"));
        row = this.row(delivery);
        if (open) row.querySelector("details")?.setAttribute("open", "");
        before?.row.replaceWith(row);
        this.shown.set(delivery.id, { row, text });
        if (focus) row.querySelector(`[data-key="${focus}"]`)?.focus();
      }
      if (this.body.rows[n] !== row) this.body.insertBefore(row, this.body.rows[n] ?? null);
    });
    this.count();
  }

  row(delivery) {
    const { id, source, sender, state, reason, jobs, created, received } = delivery;
    const files = counted(received, source === "dicom" ? "instance" : "file");
    const when = element("td", { className: "when" }, element("time", { text: this.when(created), datetime: new Date(created * 1000).toISOString() }));
    const from = element("td", {}, element("span", { text: source === "dicom" ? sender : "this page" }),
      names.of(id) && element("span", { text: names.of(id), className: "label" }),
      element("span", { text: files, className: "what" }), element("span", { text: id, className: "id" }));
    const stands = element("td", {}, badge(state), paragraph(reason, ["incomplete", "refused"].includes(state) ? "reason" : "note"));
    const translated = jobs.filter((job) => job.state !== "set-aside");
    const aside = jobs.filter((job) => job.state === "set-aside");
    const images = element("td", {}, ...translated.map((job) => this.job(job)), aside.length ? this.aside(aside) : null);
    return element("tr", { "data-id": id }, when, from, stands, images, element("td", {}, this.acts(delivery)));
  }

  when(seconds) {
    const time = new Date(seconds * 1000);
    const isToday = time.toDateString() === new Date().toDateString();
    const clock = time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    return isToday ? clock : `${time.toLocaleDateString()} ${clock}`;
  }

  job(job) {
    const { id, state, reason, contrast, seconds, series, warnings, doubts, started, next_at: next, sends } = job;
    const isDone = state === "done" || state === "doubtful";
    const about = [series, contrast === "other" ? "" : contrast, isDone && seconds !== null ? `${seconds.toFixed(1)} s` : ""];
    const line = element("div", {}, badge(state), " ", element("span", { text: about.filter(Boolean).join(", "), className: "note" }));
    if (state === "running") line.append(element("span", { className: "note", "data-since": started }));
    if (state === "waiting" && next) line.append(element("span", { className: "note", "data-until": next }));
    const list = doubts.length ? element("ul", { className: "reason" }, ...doubts.map((text) => element("li", { text }))) : null;
    const more = warnings.length - doubts.length;
    const acts = element("div", { className: "acts" });
    if (isDone) {
      acts.append(element("a", { text: "View", href: `/jobs/${id}`, className: "button", "data-key": `view ${id}` }),
        element("a", { text: "NIfTI", href: `/jobs/${id}/nifti`, className: "button", download: "", "aria-label": "Download NIfTI", "data-key": `nifti ${id}` }),
        element("a", { text: "DICOM", href: `/jobs/${id}/dicom`, className: "button", download: "", "aria-label": "Download DICOM", "data-key": `dicom ${id}` }));
    }
    if (sends.some((send) => send.state !== "accepted")) acts.append(this.button("Send now", `send ${id}`, "POST", `/api/jobs/${id}/send`));
    const canRetry = job.can_retry && (["failed", "refused"].includes(state) || (state === "waiting" && next));
    if (canRetry) acts.append(this.button("Retry", `retry ${id}`, "POST", `/api/jobs/${id}/retry`));
    return element("div", { className: "job" }, line, paragraph(reason, "reason"), list,
      more > 0 ? paragraph(counted(more, "warning"), "note") : null, ...sends.map((send) => this.send(send)), acts.childElementCount ? acts : null);
  }

  send({ destination, state, reason, attempts, next_at: next }) {
    const line = element("p", {}, badge(state), ` ${destination}`);
    if (state === "waiting" && reason) {
      line.append(element("span", { className: "note", "data-until": next }));
      return element("div", {}, line, paragraph(`${reason} (attempt ${attempts})`, "reason"));
    }
    return line;
  }

  aside(jobs) {
    const list = element("ul", {}, ...jobs.map(({ series, reason }) => element("li", { text: `${series ? `${series}: ` : ""}${reason}` })));
    return element("details", {}, element("summary", { text: `${counted(jobs.length, "series").replace("seriess", "series")} set aside`, "data-key": "aside" }), list);
  }

  acts({ id, state, jobs }) {
    const isBusy = ["receiving", "received"].includes(state) ||
      jobs.some((job) => ["waiting", "running"].includes(job.state) || job.sends.some((send) => send.state === "waiting"));
    const acts = element("div", { className: "acts" });
    if (state === "incomplete") acts.append(this.button("Convert what is here", `convert ${id}`, "POST", `/api/deliveries/${id}/convert`));
    if (!isBusy) acts.append(this.button("Remove", `remove ${id}`, "DELETE", `/api/deliveries/${id}`, "Remove this delivery and its results for good?"));
    return acts;
  }

  button(text, key, method, path, question) {
    const made = element("button", { text, type: "button", "data-key": key });
    made.addEventListener("click", async () => {
      if (question && !confirm(question)) return;
      made.disabled = true;
      try {
        await ask(method, path);
        await this.refresh();
      } catch (error) {
        this.say(error.message, true);
      }
      made.disabled = false;
    });
    return made;
  }

  /** Seconds that pass, without asking the service. */
  count() {
    const now = Date.now() / 1000 + this.ahead;
    for (const mark of this.body.querySelectorAll("[data-since]")) mark.textContent = ` for ${Math.max(0, now - mark.dataset.since).toFixed(0)} s`;
    for (const mark of this.body.querySelectorAll("[data-until]")) {
      const left = mark.dataset.until - now;
      mark.textContent = left > 0 ? ` again in ${left.toFixed(0)} s` : "";
    }
  }
}

const queue = new Queue(document.getElementById("queue"), document.getElementById("state"));

const logout = document.getElementById("logout");
if (logout) {
  logout.hidden = false;
  logout.addEventListener("click", () => ask("POST", "/logout").then(() => location.assign("/login")));
}
