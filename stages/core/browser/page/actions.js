// What each command of the table in keys.js does.

import { spanAt } from "./timeline/spans.js";
import { SPEEDS } from "./player/player.js";

const LEAP = 10;
const ZOOM_STEP = 1.6;
const LOOP_MARGIN_SECONDS = 0.5;
const LEAST_LOOP_MARGIN = 4;

/** Functions by the name of the command; their argument is described at Keyboard. */
export function buildActions(page) {
  const { player, editor, store } = page;
  return {
    ...playing(page),
    ...marking(editor),
    ...moving(page),
    undo: () =>
      store.state.undo || store.pending(store.open).length
        ? store.act({ kind: "undo" })
        : store.notice("Nothing to undo."),
    redo: () => (store.state.redo ? store.act({ kind: "redo" }) : store.notice("Nothing to redo.")),
    flag: () => store.act({ kind: "flag", value: !store.state.flag }),
    note: () => page.panel.openNote(),
    undone: () => store.state.status === "done" && store.act({ kind: "status", value: "todo" }),
    masks: () => page.panel.nextMode(),
    prediction: () => page.panel.nextPrediction(),
    zoomIn: () => page.timeline.zoom(1 / ZOOM_STEP),
    zoomOut: () => page.timeline.zoom(ZOOM_STEP),
    search: () => page.list.search.focus(),
    help: () => page.panel.toggleHelp(),
    cancel: () => {
      editor.cancel();
      if (player.loop) player.setLoop(null);
      page.screen.canvas.focus();
    },
  };
}

function playing({ player, editor }) {
  const step = (frames) => () => player.step(frames);
  const speed = (direction) => () => {
    const at = SPEEDS.indexOf(player.speed) + direction;
    player.setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at))]);
  };
  return {
    toggle: () => player.toggle(),
    backwards: () => player.shuttle(-1),
    pause: () => player.pause(),
    forwards: () => player.shuttle(1),
    stepBack: step(-1),
    stepOn: step(1),
    leapBack: step(-LEAP),
    leapOn: step(LEAP),
    first: step(-Infinity),
    last: step(Infinity),
    slower: speed(-1),
    faster: speed(1),
    loop: () => player.setLoop(player.loop ? null : loopRange(player, editor)),
  };
}

/** The span at the frame with a margin, or else all of the lane's spans, or else the whole video. */
function loopRange(player, editor) {
  const { spans } = editor.lane();
  const margin = Math.max(LEAST_LOOP_MARGIN, Math.round(player.rate * LOOP_MARGIN_SECONDS));
  const at = spanAt(spans, player.shown ?? 0);
  if (at >= 0) return [spans[at][0] - margin, spans[at][1] + margin];
  if (!spans.length) return [0, player.count];
  return [spans[0][0] - margin, spans.at(-1)[1] + margin];
}

function marking(editor) {
  return {
    setStart: () => editor.setEdge(0),
    setEnd: () => editor.setEdge(1),
    mark: (down) => (down ? editor.startSweep(true) : editor.endSweep()),
    unmark: (down) => (down ? editor.startSweep(false) : editor.endSweep()),
    nextEdge: () => editor.nextEdge(1),
    previousEdge: () => editor.nextEdge(-1),
    nudgeBack: () => editor.nudge(-1),
    nudgeOn: () => editor.nudge(1),
    leapEdgeBack: () => editor.nudge(-LEAP),
    leapEdgeOn: () => editor.nudge(LEAP),
    remove: () => editor.removeSpan(),
    never: () => editor.never(),
    whole: () => editor.whole(),
    acceptFirst: () => editor.accept(0, false),
    acceptSecond: () => editor.accept(1, false),
    acceptAllFirst: () => editor.accept(0, true),
    acceptAllSecond: () => editor.accept(1, true),
  };
}

function moving(page) {
  const { editor, store } = page;
  /** Go to another sentence; say so where there is none. */
  const move = (by) => () => {
    const next = page.list.neighbour(by);
    if (next) page.go(next.n);
    else
      store.notice(
        by > 0
          ? "This is the last sentence of the list."
          : "This is the first sentence of the list.",
      );
  };
  return {
    referent: (index) => editor.select(index),
    previousReferent: () => editor.select(editor.referent - 1),
    nextReferent: () => editor.select(editor.referent + 1),
    skip: move(1),
    back: move(-1),
    done: () => {
      const open = editor.undecided();
      if (open >= 0 && store.state.flag) return move(1)(); // nothing to mark in a wrong sentence
      if (open >= 0) {
        editor.select(open);
        store.notice(
          `Referent ${open + 1} is not decided: mark it, accept its proposal (A), or 0 for never.`,
          true,
        );
        return;
      }
      if (editor.pending) {
        const { side, frame } = editor.pending;
        const rest = side === 0 ? "] ends it" : "[ starts it";
        return store.notice(`A span was begun at frame ${frame}: ${rest}, Esc drops it.`, true);
      }
      if (store.state.status !== "done") store.act({ kind: "status", value: "done" });
      move(1)();
    },
  };
}
