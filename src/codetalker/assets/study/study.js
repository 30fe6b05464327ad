/**
 * The page of a study: two films, played to their end; then the questions; then the next two.
 *
 * Answers go to the server, which keeps each before it says so, or with static hosting into this browser, to be saved as a
 * file. Nothing is asked for beyond the page's own folder.
 */

const $ = (id) => document.getElementById(id);
const show = (...ids) => ["start", "trial", "end"].forEach((id) => ($(id).hidden = !ids.includes(id)));
const say = (text) => ($("status").textContent = text);
const wait = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
const SIDES = ["left", "right"];
const MISSED = 0.3; // seconds of a film that count as seen: what browsers leave out at either end

/** Refused for good; anything else is tried again. */
class Refusal extends Error {}

async function ask(path, body) {
  for (let pause = 1; ; pause = Math.min(2 * pause, 15)) {
    try {
      const options = body && { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
      const response = await fetch(path, { credentials: "omit", ...options });
      if (response.ok) return response.status === 204 ? null : await response.json();
      if (response.status < 500) throw new Refusal(response.status);
    } catch (error) {
      if (error instanceof Refusal) throw error;
    }
    say("No connection. Trying again …");
    await wait(pause);
  }
}

/** What this browser remembers of a study; nothing where its user forbids that. */
const memory = (study) => `codetalker-study-${study.study}`;
function recall(study) {
  try {
    return localStorage.getItem(memory(study));
  } catch {
    return null;
  }
}
function remember(study, text) {
  try {
    localStorage.setItem(memory(study), text);
  } catch { /* the page cannot go on later */ }
}

/** Answers that a server keeps. */
const served = (study) => ({
  async resume() {
    const token = recall(study);
    try {
      return token && (await ask(`raters/${token}`));
    } catch (error) {
      if (error.message !== "404") throw error;
      return null; // the answers were moved elsewhere: begin anew
    }
  },
  async begin() {
    const rater = await ask("raters", {});
    remember(study, rater.rater);
    return rater;
  },
  answer: (rater, trial, choices) => ask("answers", { rater: rater.rater, trial, choices }),
});

/** Answers that this browser keeps. */
const kept = (study) => ({
  async resume() {
    const saved = JSON.parse(recall(study) ?? "null");
    return saved && this.rater(saved);
  },
  async begin() {
    const { plans } = await ask("plans.json");
    const random = crypto.getRandomValues(new Uint32Array(5));
    const asked = new URLSearchParams(location.search).get("rater");
    const number = (/^\d+$/.test(asked ?? "") ? Number(asked) : random[4]) % plans.length;
    const rater = [...random.slice(0, 4)].map((part) => part.toString(16).padStart(8, "0")).join("");
    return this.rater({ study: study.study, rater, number, answers: [] });
  },
  async rater(saved) {
    const { films, plans } = await ask("plans.json");
    this.saved = saved;
    const trials = plans[saved.number].map((two) => two.map((film) => films[film]));
    return { trials, answered: saved.answers.map((answer) => answer.trial) };
  },
  async answer(rater, trial, choices) {
    this.saved.answers.push({ trial, films: rater.trials[trial], choices });
    remember(study, JSON.stringify(this.saved));
  },
  file() {
    return new Blob([JSON.stringify({ format_version: 1, ...this.saved })], { type: "application/json" });
  },
});

/** A film, whole, so that it plays without a stop; kept until it has been shown. */
const loads = new Map();
function load(name) {
  if (!loads.has(name)) {
    loads.set(name, (async () => {
      for (;;) {
        try {
          const response = await fetch(`films/${name}`, { credentials: "omit" });
          if (response.ok) return URL.createObjectURL(await response.blob());
        } catch { /* no connection */ }
        say("A film cannot be loaded. Trying again …");
        await wait(3);
      }
    })());
  }
  return loads.get(name);
}

async function forget(names) {
  for (const name of names) {
    URL.revokeObjectURL(await load(name));
    loads.delete(name);
  }
}

const films = [$("film1"), $("film2")];
const plays = [$("play1"), $("play2")];
const seen = [false, false];

/** Whether all of it has been shown since it was loaded, however often it was paused. */
function whole(film) {
  let shown = 0;
  for (let i = 0; i < film.played.length; i++) shown += film.played.end(i) - film.played.start(i);
  return shown > film.duration - MISSED;
}

function draw() {
  for (const i of [0, 1]) {
    const verb = !films[i].paused && !films[i].ended ? "Pause" : seen[i] ? "Replay" : "Play";
    plays[i].textContent = `${verb} face ${i + 1}`;
    plays[i].classList.toggle("played", seen[i]);
  }
  const groups = [...$("questions").children];
  groups.forEach((group) => (group.disabled = !(seen[0] && seen[1])));
  $("next").disabled = !groups.every((group) => group.querySelector(":checked") && !group.disabled);
}

function toggle(i) {
  if (!films[i].paused && !films[i].ended) return films[i].pause();
  films[1 - i].pause();
  return films[i].play().catch(() => say("This film cannot be played by your browser."));
}

films.forEach((film, i) => {
  for (const event of ["play", "pause"]) film.addEventListener(event, draw);
  film.addEventListener("ended", () => {
    seen[i] ||= whole(film);
    draw();
    const next = seen.indexOf(false);
    if (next < 0) say("Both faces have been played. Please choose.");
    else say(seen[i] ? `Face ${i + 1} has been played. Now face ${next + 1}.` : "Please play it whole.");
    (plays[next] ?? $("questions")).focus();
  });
  plays[i].addEventListener("click", () => toggle(i));
});

function askAbout(questions) {
  $("questions").replaceChildren(...questions.map(({ name, text }) => {
    const group = document.createElement("fieldset");
    group.tabIndex = -1;
    const legend = group.appendChild(document.createElement("legend"));
    legend.textContent = text;
    const choices = group.appendChild(document.createElement("div"));
    choices.className = "choices";
    SIDES.forEach((side, i) => {
      const label = choices.appendChild(document.createElement("label"));
      const input = label.appendChild(document.createElement("input"));
      Object.assign(input, { type: "radio", name, value: side });
      label.append(`Face ${i + 1}`);
    });
    return group;
  }));
}

/** Choose for the question that has the focus, or the first that is open, and go on to the next. */
function choose(side) {
  const groups = [...$("questions").children];
  const open = groups.filter((group) => !group.querySelector(":checked"));
  const group = document.activeElement.closest?.("fieldset") ?? open[0];
  if (!group || group.disabled) return;
  group.querySelectorAll("input")[side].checked = true;
  draw();
  const next = groups.find((other) => !other.querySelector(":checked"));
  (next ?? $("next")).focus();
}

$("questions").addEventListener("change", draw);

const KEYS = { 1: 0, 2: 1, ArrowLeft: 0, ArrowRight: 1 };
document.addEventListener("keydown", (event) => {
  if ($("trial").hidden || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in KEYS) {
    event.preventDefault();
    choose(KEYS[event.key]);
  } else if (event.key === " " && !document.activeElement.matches("button:not(:disabled), input")) {
    event.preventDefault();
    const playing = films.findIndex((film) => !film.paused && !film.ended);
    toggle(playing >= 0 ? playing : seen[0] && !seen[1] ? 1 : 0);
  }
});

/** The choices of a trial, once they have been made. */
async function judge([left, right]) {
  say("Loading …");
  [films[0].src, films[1].src] = await Promise.all([load(left), load(right)]);
  [films[0].dataset.film, films[1].dataset.film] = [left, right];
  seen.fill(false);
  $("trial").reset();
  show("trial");
  draw();
  plays[0].focus();
  say("Play both faces to the end.");
  return new Promise((resolve) => {
    $("trial").onsubmit = (event) => {
      event.preventDefault();
      if ($("next").disabled) return;
      $("trial").onsubmit = (again) => again.preventDefault();
      $("next").disabled = true;
      films.forEach((film) => film.pause());
      resolve(Object.fromEntries(new FormData($("trial"))));
    };
  });
}

async function run() {
  const study = await ask("public.json");
  const keeper = study.mode === "static" ? kept(study) : served(study);
  document.title = $("title").textContent = study.title;
  $("amount").textContent = `There are ${study.trials} comparisons, with ${study.questions.length} questions each.`;
  askAbout(study.questions);
  let rater = await keeper.resume();
  show("start");
  say("");
  if (rater?.answered.length) $("begin").textContent = "Go on";
  await new Promise((resolve) => ($("begin").onclick = resolve));
  $("begin").disabled = true;
  rater ??= await keeper.begin();
  if (keeper.file) offer(keeper, study);
  const answered = new Set(rater.answered);
  const open = rater.trials.map((_, trial) => trial).filter((trial) => !answered.has(trial));
  $("progress").hidden = false;
  for (const [i, trial] of open.entries()) {
    const done = rater.trials.length - open.length + i;
    $("progress").firstChild.textContent = `${done + 1} of ${rater.trials.length}`;
    Object.assign($("progress").lastChild, { max: rater.trials.length, value: done });
    [...rater.trials[trial], ...(rater.trials[open[i + 1]] ?? [])].forEach(load);
    const choices = await judge(rater.trials[trial]);
    say("Saving …");
    await keeper.answer(rater, trial, choices);
    const coming = new Set(rater.trials[open[i + 1]]);
    await forget(rater.trials[trial].filter((film) => !coming.has(film)));
  }
  $("progress").hidden = true;
  if (keeper.file) $("farewell").textContent = "Please save your answers to a file and send it to whoever gave you this page.";
  show("end");
  say("");
  $("end").querySelector("h2").focus();
}

function offer(keeper, study) {
  $("save").hidden = false;
  $("save").onclick = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(keeper.file());
    link.download = `answers-${study.study.slice(0, 4)}-${keeper.saved.rater.slice(0, 8)}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
}

run().catch((error) => {
  show();
  say(`This page cannot go on (${error.message}). Please tell whoever gave it to you.`);
});
