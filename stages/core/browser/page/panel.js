// Everything around the frame and the lanes: header, buttons, legend, dialogs, messages.

import { COMMANDS, keyName } from "./keys.js";
import { MODES } from "./player/overlay.js";
import { FALLBACK_RATE } from "./player/clock.js";
import { SPEEDS } from "./player/player.js";
import { contains } from "./timeline/spans.js";
import { seconds } from "./timeline/axis.js";
import { shortName } from "./timeline/rows.js";

const byId = (id) => document.getElementById(id);
const SCORES = { J: "J", F: "F", JF: "J&F" };
const NOTICE_MS = 8000;

/** Label of each swatch, by its class in the style sheet. */
const LEGEND = { visible: "visible", own: "moment" };
const LEGEND_OF_PREDICTIONS = {
  agreement: "agreement",
  missed: "missed",
  extra: "extra",
  language: "route: language",
  propagated: "propagated",
  best: "best frame",
  empty: "empty",
};

export class Panel {
  constructor(page) {
    this.page = page;
  }

  get store() {
    return this.page.store;
  }

  /** Write what does not change, once the session is known. */
  start() {
    const { session, editable } = this.store;
    document.title = session.title ? `tgl: ${session.title}` : "tgl";
    byId("title").textContent = session.index
      ? shortName(session.index, [])
      : (session.title ?? "tgl");
    byId("title").title = session.index ?? "";
    byId("who").textContent = this.who(session);
    byId("edits").hidden = !editable;
    byId("progress").hidden = byId("progress-text").hidden = !editable;
    const second = session.sources.length > 1;
    byId("accept").textContent = second ? `A: ${session.sources[0].name}` : "Accept";
    byId("accept-second").hidden = !second;
    if (second) byId("accept-second").textContent = `B: ${session.sources[1].name}`;
    for (const id of ["accept", "accept-all"]) byId(id).hidden = !session.sources.length;
    byId("prediction").hidden = session.predictions.length < 2;
    byId("speed").append(...SPEEDS.map((speed) => new Option(`${speed}×`, speed)));
    if (session.predictions.length) this.page.overlay.mode = "outline";
    this.writeTitles();
    this.writeMode();
    this.writePrediction();
    this.writeLegend();
    this.writeProgress();
  }

  who({ mode, annotator, blind }) {
    if (mode === "view") return "read only";
    return `${mode === "adjudicate" ? "adjudicated by" : "annotator"} ${annotator}${blind ? ", blind" : ""}`;
  }

  /** Name the key of each button in its tooltip. */
  writeTitles() {
    const commands = new Map(COMMANDS.map((command) => [command.name, command]));
    for (const button of document.querySelectorAll("[data-command]")) {
      const { words, keys } = commands.get(button.dataset.command);
      button.title = `${words} (${keyName(keys[0])})`;
      button.setAttribute("aria-keyshortcuts", keys[0]);
    }
  }

  writeSentence() {
    const { state } = this.store;
    byId("text").textContent = state.text;
    byId("notice").textContent = "";
    this.writeFrame();
  }

  /** Parts that follow the state of the sentence. */
  writeState() {
    const { state } = this.store;
    byId("undo").disabled = !state.undo && !this.store.pending(state.n).length;
    byId("redo").disabled = !state.redo;
    byId("flag").setAttribute("aria-pressed", String(Boolean(state.flag)));
    byId("note").setAttribute("aria-pressed", String(Boolean(state.note)));
    byId("undone").hidden = state.status !== "done";
    byId("done").textContent = state.status === "done" ? "Next" : "Done, next";
    byId("about").replaceChildren(...this.about(state));
    this.writeFrame();
  }

  about(state) {
    const { video } = this.page;
    const { clock } = video;
    const length = seconds(clock.seconds(video.frames) - clock.seconds(0), 2);
    const rate = clock.varies
      ? `variable frame rate, ${length}`
      : clock.known
        ? `${round(video.fps)} fps, ${length}`
        : `rate unknown, played at ${FALLBACK_RATE} fps`;
    const parts = [
      `${video.name} · sentence ${state.expression_id} · ${video.frames} frames, ${rate}`,
    ];
    if (state.status === "done" && this.store.editable) parts.push("✓ done");
    if (state.flag) parts.push("⚑ flagged");
    if (state.note) parts.push(`✎ ${state.note}`);
    const scores = state.predictions?.[this.page.overlay.prediction]?.scores ?? {};
    const known = Object.entries(SCORES).filter(([name]) => typeof scores[name] === "number");
    if (known.length)
      parts.push(known.map(([name, label]) => `${label} ${scores[name].toFixed(3)}`).join("  "));
    return parts.map((text) => element("span", text));
  }

  /** The number of the frame that is drawn, and whether it is in a moment. */
  writeFrame() {
    const { player, video, editor } = this.page;
    if (player.shown === null) byId("frame").textContent = "loading";
    if (player.shown === null || !video) return;
    const { clock } = video;
    const time = clock.known ? ` · ${seconds(clock.seconds(player.shown), 2)}` : "";
    byId("frame").textContent = `frame ${player.shown} of 0–${video.frames - 1}${time}`;
    byId("screen").setAttribute("aria-label", `frame ${player.shown}`);
    if (!this.store.state) return;
    const lane = editor.lane();
    const inside = contains(lane.spans, player.shown);
    byId("moment").hidden = !inside;
    byId("moment").className = lane.decided ? "own" : "proposed";
    byId("moment").textContent = lane.decided ? "moment" : "proposed";
  }

  writeTransport() {
    const { player } = this.page;
    byId("play").textContent = player.playing ? "❚❚" : "▶";
    byId("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    byId("speed").value = String(player.speed);
    byId("loop").setAttribute("aria-pressed", String(Boolean(player.loop)));
  }

  writeTrouble() {
    const trouble = this.page.overlay.trouble(this.page.player.shown);
    byId("trouble").hidden = !trouble;
    byId("trouble").textContent =
      trouble === "loading" ? "masks are loading" : `no masks: ${trouble}`;
  }

  writeProgress() {
    const { sentences } = this.store;
    const done = sentences.filter((sentence) => sentence.status === "done").length;
    byId("progress").max = Math.max(1, sentences.length);
    byId("progress").value = done;
    byId("progress-text").textContent = `${done} of ${sentences.length} done`;
  }

  writeSaving() {
    const { queue, problem } = this.store;
    const saving = byId("saving");
    const count = queue.length === 1 ? "1 action" : `${queue.length} actions`;
    saving.className = problem ? "bad" : queue.length ? "busy" : "";
    saving.setAttribute("role", problem ? "alert" : "status");
    if (problem) saving.textContent = `${count} not saved, trying again: ${problem}`;
    else saving.textContent = queue.length ? `saving ${count}` : "all saved";
  }

  writeLegend() {
    const { session } = this.store;
    const viewing = session.mode === "view";
    const entries = { ...LEGEND };
    if (session.sources.length && !viewing) entries.proposal = "proposed";
    if (session.predictions.length) Object.assign(entries, LEGEND_OF_PREDICTIONS);
    byId("legend").replaceChildren(
      ...Object.entries(entries).flatMap(([name, label]) => [
        element("span", "", `swatch ${name}`),
        element("span", label),
      ]),
    );
  }

  nextMode() {
    const { overlay } = this.page;
    const modes = this.store.session.predictions.length ? ["outline", "off"] : MODES;
    overlay.mode = modes[(modes.indexOf(overlay.mode) + 1) % modes.length];
    this.writeMode();
    this.page.show(this.page.player.shown ?? 0);
  }

  writeMode() {
    const { mode } = this.page.overlay;
    const compared = this.store.session.predictions.length > 0;
    byId("masks").textContent = `Masks: ${compared && mode !== "off" ? "on" : mode}`;
  }

  nextPrediction() {
    const { overlay } = this.page;
    const count = overlay.predictions.length;
    if (count < 2) return;
    overlay.prediction = (overlay.prediction + 1) % count;
    this.writePrediction();
    this.page.refresh();
    this.page.show(this.page.player.shown ?? 0);
  }

  writePrediction() {
    const names = this.store.session.predictions.map(({ name }) => name);
    if (names.length < 2) return;
    const name = names[this.page.overlay.prediction];
    byId("prediction").textContent = `Masks of: ${shortName(name, names)}`;
    byId("prediction").title = name;
  }

  notice({ text, bad }) {
    byId("notice").textContent = text;
    byId("notice").className = bad ? "bad" : "";
    clearTimeout(this.noticeTimer);
    if (!bad) this.noticeTimer = setTimeout(() => this.clearNotice(), NOTICE_MS);
  }

  clearNotice() {
    byId("notice").textContent = "";
  }

  toggleHelp() {
    const help = byId("help");
    if (help.open) help.close();
    else help.showModal();
  }

  openNote() {
    const dialog = byId("note-dialog");
    byId("note-text").value = this.store.state.note ?? "";
    dialog.returnValue = "";
    dialog.showModal();
    byId("note-text").focus();
  }

  listen() {
    const { store, page } = this;
    store.addEventListener("saving", () => this.writeSaving());
    store.addEventListener("notice", ({ detail }) => this.notice(detail));
    byId("speed").addEventListener("change", () => {
      page.player.setSpeed(Number(byId("speed").value));
      page.screen.canvas.focus();
    });
    for (const button of document.querySelectorAll("[data-command]")) this.listenTo(button);
    this.listenToDialogs();
    if (store.editable) this.writeSaving();
  }

  /** A press runs the command and gives the keys back to the video. */
  listenTo(button) {
    const name = button.dataset.command;
    const { page } = this;
    if ("holds" in button.dataset) {
      button.addEventListener("pointerdown", (event) => {
        button.setPointerCapture(event.pointerId);
        page.run(name, true);
      });
      for (const type of ["pointerup", "pointercancel"])
        button.addEventListener(type, () => page.run(name, false));
      return;
    }
    button.addEventListener("click", (event) => {
      page.run(name, 0);
      if (event.detail && name !== "note" && name !== "help") page.screen.canvas.focus();
    });
  }

  listenToDialogs() {
    const dialog = byId("note-dialog");
    byId("note-text").addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) dialog.close("save");
    });
    dialog.addEventListener("close", () => {
      const value = byId("note-text").value.trim();
      const { state } = this.store;
      if (dialog.returnValue === "save" && value !== (state.note ?? ""))
        this.store.act({ kind: "note", value });
    });
    byId("help").addEventListener("keydown", (event) => {
      if (event.key === "?") byId("help").close();
    });
  }
}

function element(tag, text, name = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function round(value) {
  return Number(value.toFixed(3));
}
