// The page: opens sentences and their videos, and connects list, player, timeline, editor and keys.

import { getJson } from "./api.js";
import { buildActions } from "./actions.js";
import { Editor } from "./editor.js";
import { Keyboard, writeHelp } from "./keys.js";
import { SentenceList } from "./list.js";
import { Panel } from "./panel.js";
import { Clock } from "./player/clock.js";
import { FrameCache } from "./player/frames.js";
import { Overlay } from "./player/overlay.js";
import { Player } from "./player/player.js";
import { Screen } from "./player/screen.js";
import { Store } from "./store.js";
import { Timeline } from "./timeline/timeline.js";

const ADDRESS_MS = 250;
const LONGEST_WAIT_MS = 5000;
const byId = (id) => document.getElementById(id);

export class Page {
  constructor() {
    this.store = new Store();
    this.screen = new Screen(byId("screen"));
    this.player = new Player(
      (frame) => this.show(frame),
      () => this.playChanged(),
    );
    this.editor = new Editor(this.store, this.player, () => this.refresh());
    this.overlay = new Overlay((start, end) => this.masksLoaded(start, end));
    this.timeline = new Timeline(byId("timeline"), this.store, this.player, this.editor);
    this.list = new SentenceList(
      byId("sentences"),
      this.store,
      (n) => this.go(n),
      (n) => this.pick(n),
    );
    this.panel = new Panel(this);
    this.opening = 0; // number of the last sentence that was asked for, to drop earlier answers
    this.going = 0; // sentences that are being opened
    this.commands = []; // [name, argument] that wait for their turn
    this.working = false;
    this.video = null;
    this.wasPlaying = false;
    this.videoNumber = null;
  }

  async start() {
    await this.store.start();
    this.panel.start();
    this.list.start();
    this.actions = buildActions(this);
    this.keyboard = new Keyboard((name, argument) => this.run(name, argument), this.store.editable);
    writeHelp(byId("help-keys"), this.keyboard.commands);
    this.listen();
    const [n, frame] = this.address();
    const first = n ?? this.firstOpen();
    if (first !== undefined) await this.go(first, frame);
    else this.store.notice("There are no sentences to show.");
  }

  /** Where to begin: the first sentence that is to do, else the first one. */
  firstOpen() {
    const { sentences } = this.store;
    return (sentences.find((sentence) => sentence.status !== "done") ?? sentences[0])?.n;
  }

  /** Run a command of the table in keys.js, after those that still wait. */
  run(name, argument) {
    this.commands.push([name, argument]);
    if (!this.working) this.work();
  }

  async work() {
    this.working = true;
    try {
      while (this.commands.length) await this.next();
    } finally {
      this.working = false;
    }
  }

  async next() {
    const [name, argument] = this.commands.shift();
    const ready = this.ready(name) || (await this.becomesReady(name));
    const what = this.going ? "The sentence" : `Frame ${this.player.wanted}`;
    if (ready) this.perform(name, argument);
    else this.store.notice(`${what} is still loading; the key had no effect.`, true);
  }

  perform(name, argument) {
    if (!this.store.state && name !== "search" && name !== "help") return;
    this.panel.clearNotice();
    this.actions[name](argument);
  }

  /** Whether a command would act on the sentence and in the frame that the user means. */
  ready(name) {
    if (!this.store.state) return true; // nothing is open: no command does anything
    const { marking, moving } = this.keyboard;
    if (this.going && (marking.has(name) || moving.has(name))) return false;
    return !marking.has(name) || (!this.store.undoing && this.player.arrived);
  }

  async becomesReady(name) {
    const deadline = performance.now() + LONGEST_WAIT_MS;
    while (!this.ready(name) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return this.ready(name);
  }

  /** Open a sentence, and its video if that is another one. */
  async go(n, frame = null) {
    const number = ++this.opening;
    this.going += 1;
    try {
      const state = await this.store.load(n);
      const known = state.video === this.videoNumber;
      const video = known ? this.video : await getJson(`/api/video/${state.video}`);
      if (number !== this.opening) return;
      this.leave();
      this.store.show(state);
      this.overlay.open(this.store.state, video);
      this.editor.reset();
      this.editor.referent = Math.max(0, this.editor.undecided());
      if (known) this.player.seek(frame ?? 0);
      else this.openVideo(state.video, video, frame ?? 0);
      this.panel.writeSentence();
      this.refresh();
      this.list.reveal();
      this.writeAddressNow();
    } catch (error) {
      this.store.notice(`Sentence not opened: ${error.message}`, true);
    } finally {
      this.going -= 1;
    }
  }

  /** Open a sentence and give the keys to its video. */
  pick(n) {
    this.screen.canvas.focus();
    if (n !== this.store.open) this.go(n);
  }

  leave() {
    this.editor.endSweep();
    this.player.pause();
    this.player.loop = null;
  }

  openVideo(number, facts, frame) {
    const video = { ...facts, clock: new Clock(facts.frames, facts.fps, facts.times) };
    this.videoNumber = number;
    this.video = video;
    this.screen.open(video);
    this.timeline.open(video);
    const { key } = this.store.session; // another index on this port has other frames
    const address = (t) => `/api/video/${number}/frame/${t}?k=${encodeURIComponent(key ?? "")}`;
    const frames = new FrameCache(address, video, (t) => this.player.loaded(t));
    this.player.open(frames, video.clock, frame);
  }

  /** Draw a frame that is loaded; from then on it is the frame that commands mean. */
  show(frame) {
    this.overlay.want(frame, this.player.direction);
    this.editor.passed(frame);
    this.paint();
    this.timeline.paint();
    this.panel.writeFrame();
    if (!this.player.playing) this.writeAddress();
  }

  /** Draw the frame that is shown again, with its masks. */
  paint() {
    const frame = this.player.shown;
    if (frame === null) return;
    const bitmap = this.player.frames.get(frame);
    if (bitmap) {
      this.screen.drawFrame(bitmap, this.player.playing);
      if (this.store.state) this.overlay.draw(this.screen, frame, this.editor.referent);
    } else if (this.player.frames.error(frame)) {
      const reason = this.player.frames.error(frame).message;
      this.screen.drawError(`Frame ${frame} cannot be shown: ${reason}`);
    }
    this.panel.writeTrouble();
  }

  playChanged() {
    const stopped = this.wasPlaying && !this.player.playing;
    this.wasPlaying = this.player.playing;
    this.panel.writeTransport();
    if (!stopped) return;
    this.paint(); // as smooth as it can be
    this.writeAddress();
  }

  masksLoaded(start, end) {
    const { shown } = this.player;
    if (shown !== null && shown >= start && shown < end) this.paint();
  }

  /** Show changed spans or another selection. */
  refresh() {
    if (!this.store.state) return;
    this.overlay.update(this.store.state);
    this.timeline.refresh();
    this.panel.writeState();
    this.paint();
  }

  /**
   * [number of the sentence, frame] of the address, null where missing or unknown.
   *
   * The sentence is a number, or VIDEO/EXPRESSION as in the report: #s=12&t=40, #s=video/3&t=40.
   */
  address() {
    const values = new URLSearchParams(location.hash.slice(1));
    const frame = values.get("t") ?? "";
    return [this.store.find(values.get("s") ?? ""), /^\d+$/.test(frame) ? Number(frame) : null];
  }

  /** Keep the address up to date, so that a reload comes back here; not for every frame that passes. */
  writeAddress() {
    clearTimeout(this.addressTimer);
    this.addressTimer = setTimeout(() => this.writeAddressNow(), ADDRESS_MS);
  }

  writeAddressNow() {
    clearTimeout(this.addressTimer);
    if (!this.store.state) return;
    const frame = this.player.shown ?? this.player.wanted;
    history.replaceState(null, "", `#s=${this.store.open}&t=${frame}`);
  }

  listen() {
    const { store } = this;
    store.addEventListener("state", () => this.refresh());
    store.addEventListener("elsewhere", ({ detail }) => this.go(detail));
    store.addEventListener("row", () => {
      this.list.draw();
      this.list.writeCounts();
      this.panel.writeProgress();
    });
    window.addEventListener("hashchange", () => {
      const [n, frame] = this.address();
      if (n !== null) this.go(n, frame);
    });
    window.addEventListener("focus", () => store.wake());
    window.addEventListener("beforeunload", (event) => {
      this.editor.endSweep();
      if (store.queue.length) event.preventDefault();
    });
    new ResizeObserver(() => {
      if (this.video && this.screen.fit()) this.paint();
    }).observe(byId("room"));
    this.panel.listen();
  }
}

const page = new Page();
window.tgl = page; // for the console, and for tests that measure
page.start().catch((error) => page.store.notice(`The page cannot start: ${error.message}`, true));
