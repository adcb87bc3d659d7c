"use strict";
// Uploads: every image and every zip by itself, all other files together as DICOM. Bytes and endings go
// to the service, names stay here.

const ENDINGS = [".nii.gz", ".nii", ".mha", ".nrrd", ".zip"];
const AT_ONCE = 4;
const endingOf = (name) => ENDINGS.find((ending) => name.toLowerCase().endsWith(ending)) ?? "";

class Upload {
  constructor(name, files, list) {
    Object.assign(this, { name, files, sent: 0, total: files.reduce((sum, { size }) => sum + size, 0), stop: new AbortController() });
    this.bar = element("progress", { max: 1, value: 0, "aria-label": `Upload of ${name}` });
    this.said = element("span", { className: "said" });
    this.cancel = element("button", { text: "Cancel", type: "button" });
    this.cancel.addEventListener("click", () => this.stop.abort());
    this.line = element("li", {}, element("span", { text: name, className: "name" }), this.bar, this.cancel, this.said);
    list.append(this.line);
  }

  async run() {
    try {
      this.say(`${counted(this.files.length, "file")}, ${(this.total / 2 ** 20).toFixed(1)} MB`);
      this.id = (await ask("POST", "/api/uploads", this.stop.signal)).id;
      names.keep(this.id, this.name);
      const todo = [...this.files];
      const work = async () => {
        for (let file = todo.shift(); file; file = todo.shift()) await this.put(file);
      };
      await Promise.all(Array.from({ length: Math.min(AT_ONCE, todo.length) }, work));
      await ask("POST", `/api/uploads/${this.id}/end`, this.stop.signal);
      this.line.remove();
      queue.refresh();
    } catch (error) {
      this.stop.abort();
      const isCancelled = error.name === "AbortError";
      if (this.id) ask("DELETE", `/api/uploads/${this.id}`).catch(() => {}); // the service may have dropped it
      this.say(isCancelled ? "Cancelled." : error.message, !isCancelled);
      this.bar.remove();
      this.cancel.textContent = "Close";
      this.cancel.addEventListener("click", () => this.line.remove());
    }
  }

  say(text, bad = false) {
    this.said.textContent = text;
    this.said.classList.toggle("bad", bad);
  }

  /** One file, by XMLHttpRequest as fetch tells no progress. */
  put(file) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let before = 0;
      const advance = (bytes) => {
        this.sent += bytes - before;
        before = bytes;
        this.bar.value = this.total ? this.sent / this.total : 1;
      };
      request.open("PUT", `/api/uploads/${this.id}/files?ending=${endingOf(file.name)}`);
      request.setRequestHeader("X-CSRF-Token", csrf());
      request.upload.addEventListener("progress", ({ loaded }) => advance(loaded));
      request.addEventListener("error", () => reject(new Error("The service does not answer.")));
      request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
      request.addEventListener("load", () => {
        advance(file.size);
        if (request.status === 204) return resolve();
        reject(new Error(toldBy(request)));
      });
      this.stop.signal.addEventListener("abort", () => request.abort());
      if (this.stop.signal.aborted) return reject(new DOMException("", "AbortError"));
      request.send(file);
    });
  }
}

function toldBy(request) {
  try {
    return JSON.parse(request.responseText).error;
  } catch {
    return `The service answered ${request.status}.`;
  }
}

/** Images and zips one by one, the rest, but for hidden files, together. */
function begin(files, folder) {
  const list = document.getElementById("uploads");
  const seen = files.filter(({ name }) => !name.startsWith("."));
  const alone = seen.filter(({ name }) => endingOf(name));
  const together = seen.filter(({ name }) => !endingOf(name));
  const uploads = alone.map((file) => new Upload(file.name, [file], list));
  if (together.length) uploads.push(new Upload(folder || together[0].name, together, list));
  uploads.reduce((before, upload) => before.then(() => upload.run()), Promise.resolve());
}

/** All files below what was dropped. */
async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) { // a reader gives a hundred at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    for (const inner of some) found.push(...(await filesOf(inner)));
  }
  return found;
}

const drop = document.getElementById("drop");
for (const [kind, over] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", over);
  });
}
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
drop.addEventListener("drop", async ({ dataTransfer }) => {
  const entries = [...dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  const files = (await Promise.all(entries.map(filesOf))).flat();
  begin(files, entries.find(({ isDirectory }) => isDirectory)?.name);
});
for (const [button, input] of [["choose-files", "files"], ["choose-folder", "folder"]]) {
  const field = document.getElementById(input);
  document.getElementById(button).addEventListener("click", () => field.click());
  field.addEventListener("change", () => {
    begin([...field.files], field.files[0]?.webkitRelativePath.split("/")[0]);
    field.value = "";
  });
}
