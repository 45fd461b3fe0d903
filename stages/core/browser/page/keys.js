// All commands: the keys that run them and the words of the help, from one table.

const [EDITS, VIEWS, HOLDS] = ["edits", "views", "holds"];

// Name, keys, words for the help, and whether the command is only where something can be edited (EDITS),
// only in the viewer (VIEWS), and whether it runs once as the key goes down and once as it goes up (HOLDS).
const TABLE = {
  Play: [
    ["toggle", ["Space"], "play, pause"],
    ["backwards", ["J"], "play backwards; again: faster"],
    ["pause", ["K"], "pause"],
    ["forwards", ["L"], "play forwards; again: faster"],
    ["stepBack", ["ArrowLeft"], "one frame back"],
    ["stepOn", ["ArrowRight"], "one frame on"],
    ["leapBack", ["Shift+ArrowLeft"], "ten frames back"],
    ["leapOn", ["Shift+ArrowRight"], "ten frames on"],
    ["first", ["Home"], "first frame"],
    ["last", ["End"], "last frame"],
    ["slower", [","], "slower"],
    ["faster", ["."], "faster"],
    ["loop", ["O"], "loop this span; again: end it"],
  ],
  Mark: [
    ["setStart", ["["], "span starts at this frame", EDITS],
    ["setEnd", ["]"], "span ends with this frame", EDITS],
    ["mark", ["M"], "hold: mark passing frames", EDITS, HOLDS],
    ["unmark", ["Shift+M"], "hold: clear passing frames", EDITS, HOLDS],
    ["nextEdge", ["Tab"], "next edge"],
    ["previousEdge", ["Shift+Tab"], "previous edge"],
    ["nudgeBack", ["Alt+ArrowLeft"], "edge one frame back", EDITS],
    ["nudgeOn", ["Alt+ArrowRight"], "edge one frame on", EDITS],
    ["leapEdgeBack", ["Alt+Shift+ArrowLeft"], "edge ten frames back", EDITS],
    ["leapEdgeOn", ["Alt+Shift+ArrowRight"], "edge ten frames on", EDITS],
    ["remove", ["Delete", "Backspace"], "remove this span", EDITS],
    ["never", ["0"], "never true", EDITS],
    ["whole", ["W"], "the whole visible range", EDITS],
    ["acceptFirst", ["A"], "accept the proposal, or pick A", EDITS],
    ["acceptSecond", ["B"], "pick B, the second source", EDITS],
    ["acceptAllFirst", ["Shift+A"], "accept all undecided", EDITS],
    ["acceptAllSecond", ["Shift+B"], "pick B for all undecided", EDITS],
    ["undo", ["Ctrl+Z"], "undo", EDITS],
    ["redo", ["Ctrl+Shift+Z", "Ctrl+Y"], "redo", EDITS],
  ],
  Sentence: [
    ["referent", ["1", "2", "3", "4", "5", "6", "7", "8", "9"], "referent 1 to 9"],
    ["previousReferent", ["ArrowUp"], "referent above"],
    ["nextReferent", ["ArrowDown"], "referent below"],
    ["done", ["Enter"], "done, next sentence", EDITS],
    ["skip", ["PageDown"], "next sentence"],
    ["back", ["PageUp", "Shift+Enter"], "previous sentence"],
    ["undone", ["U"], "not done after all", EDITS],
    ["flag", ["F"], "flag as wrong: not exported", EDITS],
    ["note", ["N"], "note", EDITS],
  ],
  Page: [
    ["masks", ["V"], "masks: off, outline, dim"],
    ["prediction", ["P"], "next prediction", VIEWS],
    ["zoomIn", ["+", "="], "zoom the time axis in"],
    ["zoomOut", ["-"], "zoom the time axis out"],
    ["cancel", ["Escape"], "drop what was begun"],
    ["search", ["/"], "search sentences"],
    ["help", ["?"], "this help"],
  ],
};

/** All commands: {name, keys, words, group, edits, views, holds}. */
export const COMMANDS = Object.entries(TABLE).flatMap(([group, rows]) =>
  rows.map(([name, keys, words, ...flags]) => {
    const [edits, views, holds] = [EDITS, VIEWS, HOLDS].map((flag) => flags.includes(flag));
    return { name, keys, words, group, edits, views, holds };
  }),
);

const [MARKING, MOVING] = ["Mark", "Sentence"];
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
    this.marking = namesOf(MARKING);
    this.moving = namesOf(MOVING);
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

function namesOf(group) {
  return new Set(TABLE[group].map(([name]) => name));
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
  return key === "+"
    ? key
    : key
        .split("+")
        .map((part) => GLYPHS[part] ?? part)
        .join("+");
}

/** Fill the help with the commands of the keyboard, group by group. */
export function writeHelp(root, commands) {
  const groups = Object.keys(TABLE).map((group) => {
    const section = document.createElement("section");
    const heading = document.createElement("h3");
    heading.textContent = group;
    const list = document.createElement("dl");
    for (const command of commands.filter((c) => c.group === group))
      list.append(...helpRow(command));
    section.append(heading, list);
    return section;
  });
  root.replaceChildren(...groups.filter((section) => section.querySelector("dt")));
}

function helpRow({ keys, words }) {
  const [term, description] = [document.createElement("dt"), document.createElement("dd")];
  const names =
    keys.length > 3 ? [`${keyName(keys[0])} … ${keyName(keys.at(-1))}`] : keys.map(keyName);
  names.forEach((name, i) => {
    const key = document.createElement("kbd");
    key.textContent = name;
    term.append(...(i ? [" ", key] : [key]));
  });
  description.textContent = words;
  return [term, description];
}
