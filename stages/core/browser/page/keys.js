// All commands: the keys that run them and the words of the help, from one table.

const [PLAY, MARK, MOVE, OTHER] = ["Play", "Mark", "Sentence", "Page"];

/**
 * One row per command: name, keys, words, group; `edits` rows are missing where nothing can be
 * edited, `views` rows are only there; `holds` rows run once when the key goes down and once when it goes up.
 */
export const COMMANDS = [
  { name: "toggle", keys: ["Space"], words: "play, pause", group: PLAY },
  { name: "backwards", keys: ["J"], words: "play backwards; again: faster", group: PLAY },
  { name: "pause", keys: ["K"], words: "pause", group: PLAY },
  { name: "forwards", keys: ["L"], words: "play forwards; again: faster", group: PLAY },
  { name: "stepBack", keys: ["ArrowLeft"], words: "one frame back", group: PLAY },
  { name: "stepOn", keys: ["ArrowRight"], words: "one frame on", group: PLAY },
  { name: "leapBack", keys: ["Shift+ArrowLeft"], words: "ten frames back", group: PLAY },
  { name: "leapOn", keys: ["Shift+ArrowRight"], words: "ten frames on", group: PLAY },
  { name: "first", keys: ["Home"], words: "first frame", group: PLAY },
  { name: "last", keys: ["End"], words: "last frame", group: PLAY },
  { name: "slower", keys: [","], words: "slower", group: PLAY },
  { name: "faster", keys: ["."], words: "faster", group: PLAY },
  { name: "loop", keys: ["O"], words: "loop the span with a margin; again: end it", group: PLAY },
  { name: "setStart", keys: ["["], words: "span starts at this frame", group: MARK, edits: true },
  { name: "setEnd", keys: ["]"], words: "span ends with this frame", group: MARK, edits: true },
  { name: "mark", keys: ["M"], words: "hold: mark the frames that pass", group: MARK, edits: true, holds: true },
  { name: "unmark", keys: ["Shift+M"], words: "hold: clear the frames that pass", group: MARK, edits: true, holds: true },
  { name: "nextEdge", keys: ["Tab"], words: "next edge", group: MARK },
  { name: "previousEdge", keys: ["Shift+Tab"], words: "previous edge", group: MARK },
  { name: "nudgeBack", keys: ["Alt+ArrowLeft"], words: "move the edge one frame back", group: MARK, edits: true },
  { name: "nudgeOn", keys: ["Alt+ArrowRight"], words: "move the edge one frame on", group: MARK, edits: true },
  { name: "leapEdgeBack", keys: ["Alt+Shift+ArrowLeft"], words: "move the edge ten frames back", group: MARK, edits: true },
  { name: "leapEdgeOn", keys: ["Alt+Shift+ArrowRight"], words: "move the edge ten frames on", group: MARK, edits: true },
  { name: "remove", keys: ["Delete", "Backspace"], words: "remove the span at this frame", group: MARK, edits: true },
  { name: "never", keys: ["0"], words: "never true", group: MARK, edits: true },
  { name: "whole", keys: ["W"], words: "the whole visible range", group: MARK, edits: true },
  { name: "acceptFirst", keys: ["A"], words: "accept the proposal, or pick A", group: MARK, edits: true },
  { name: "acceptSecond", keys: ["B"], words: "pick B, the second source", group: MARK, edits: true },
  { name: "acceptAllFirst", keys: ["Shift+A"], words: "the same for all undecided referents", group: MARK, edits: true },
  { name: "acceptAllSecond", keys: ["Shift+B"], words: "pick B for all undecided referents", group: MARK, edits: true },
  { name: "undo", keys: ["Ctrl+Z"], words: "undo", group: MARK, edits: true },
  { name: "redo", keys: ["Ctrl+Shift+Z", "Ctrl+Y"], words: "redo", group: MARK, edits: true },
  { name: "referent", keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], words: "referent 1 to 9", group: MOVE },
  { name: "previousReferent", keys: ["ArrowUp"], words: "referent above", group: MOVE },
  { name: "nextReferent", keys: ["ArrowDown"], words: "referent below", group: MOVE },
  { name: "done", keys: ["Enter"], words: "done, next sentence", group: MOVE, edits: true },
  { name: "skip", keys: ["PageDown"], words: "next sentence", group: MOVE },
  { name: "back", keys: ["PageUp", "Shift+Enter"], words: "previous sentence", group: MOVE },
  { name: "undone", keys: ["U"], words: "not done after all", group: MOVE, edits: true },
  { name: "flag", keys: ["F"], words: "flag: mask or sentence is wrong, not exported", group: MOVE, edits: true },
  { name: "note", keys: ["N"], words: "note", group: MOVE, edits: true },
  { name: "masks", keys: ["V"], words: "masks: off, outline, dim", group: OTHER },
  { name: "prediction", keys: ["P"], words: "next prediction", group: OTHER, views: true },
  { name: "zoomIn", keys: ["+", "="], words: "zoom the time axis in", group: OTHER },
  { name: "zoomOut", keys: ["-"], words: "zoom the time axis out", group: OTHER },
  { name: "cancel", keys: ["Escape"], words: "leave what was begun; back to the video", group: OTHER },
  { name: "search", keys: ["/"], words: "search sentences", group: OTHER },
  { name: "help", keys: ["?"], words: "this help", group: OTHER },
];

const GLYPHS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Escape: "Esc" };
const HELD_ONLY = new Set(["Shift", "Control", "Alt", "Meta", "AltGraph", "CapsLock"]);

/** Name of the keys of an event as the table spells it: "Ctrl+Shift+Z", "[", "Alt+ArrowLeft". */
export function chord(event) {
  const named = event.key.length > 1 || event.key === " ";
  const letter = /^\p{L}$/u.test(event.key);
  const key = event.key === " " ? "Space" : letter ? event.key.toUpperCase() : event.key;
  if (event.getModifierState?.("AltGraph")) return key; // writes [ and ] on many keyboards
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("Ctrl");
  if (event.altKey) parts.push("Alt");
  if (event.shiftKey && (named || letter)) parts.push("Shift");
  return [...parts, key].join("+");
}

export class Keyboard {
  /**
   * @param run function of a command's name and the position of the key among its keys; for a command
   *   that holds, whether the key went down
   * @param editable whether sentences can be edited
   */
  constructor(run, editable) {
    this.run = run;
    this.commands = COMMANDS.filter((c) => (editable ? !c.views : !c.edits));
    this.byChord = new Map(this.commands.flatMap((c) => c.keys.map((key, i) => [key, [c, i]])));
    this.marking = new Set(COMMANDS.filter((c) => c.group === MARK).map((c) => c.name));
    this.held = null; // {command, key} while a key that holds is down
    document.addEventListener("keydown", (event) => this.down(event));
    document.addEventListener("keyup", (event) => this.up(event));
    window.addEventListener("blur", () => this.release());
  }

  down(event) {
    if (HELD_ONLY.has(event.key) || event.isComposing) return;
    const found = this.byChord.get(chord(event));
    if (!found || belongsToElement(event, found[0])) return;
    event.preventDefault();
    const [command, index] = found;
    if (!command.holds) return this.run(command.name, index);
    if (event.repeat || this.held) return;
    this.held = { command, key: event.key.toLowerCase() };
    this.run(command.name, true);
  }

  up(event) {
    if (this.held?.key === event.key.toLowerCase()) this.release();
  }

  release() {
    const { held } = this;
    this.held = null;
    if (held) this.run(held.command.name, false);
  }
}

/** Whether a key is for the element that has the focus: text, a dialog, a button that it presses. */
function belongsToElement(event, command) {
  const { target } = event;
  if (document.querySelector("dialog[open]")) return true;
  if (target.matches?.("input, textarea")) return command.name !== "cancel";
  if (target.matches?.("select")) return !["cancel", "search", "help"].includes(command.name);
  if (target.matches?.("[role=listbox]")) return event.key === "Tab";
  return ["Tab", "Enter", " "].includes(event.key) && target.matches?.("button, a");
}

/** Words for people: "Ctrl+Z", "Shift+←". */
export function keyName(key) {
  return key === "+" ? key : key.split("+").map((part) => GLYPHS[part] ?? part).join("+");
}

/** Fill the help with the commands of the keyboard, group by group. */
export function writeHelp(root, commands) {
  const groups = [PLAY, MARK, MOVE, OTHER].map((group) => {
    const section = document.createElement("section");
    const heading = document.createElement("h3");
    heading.textContent = group;
    const list = document.createElement("dl");
    for (const command of commands.filter((c) => c.group === group)) list.append(...helpRow(command));
    section.append(heading, list);
    return section;
  });
  root.replaceChildren(...groups.filter((section) => section.querySelector("dt")));
}

function helpRow({ keys, words }) {
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  const names = keys.length > 3 ? [`${keyName(keys[0])} … ${keyName(keys.at(-1))}`] : keys.map(keyName);
  names.forEach((name, i) => {
    const key = document.createElement("kbd");
    key.textContent = name;
    term.append(...(i ? [" ", key] : [key]));
  });
  description.textContent = words;
  return [term, description];
}
