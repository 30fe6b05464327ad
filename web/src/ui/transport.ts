/** Transport: play, pause, scrub, and the time; for a clock. */

import type { Clock } from "./clock.js";
import "./transport.css";

const PLAY = "M8 5.5v13l11-6.5z";
const PAUSE = "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z";

export class Transport {
  readonly element = document.createElement("div");
  private readonly button = document.createElement("button");
  private readonly icon = document.createElementNS("http://www.w3.org/2000/svg", "path");
  private readonly slider = document.createElement("input");
  private readonly label = document.createElement("span");
  private current: Clock | null = null;

  constructor() {
    this.element.className = "transport";
    const picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    picture.setAttribute("viewBox", "0 0 24 24");
    picture.setAttribute("aria-hidden", "true");
    picture.append(this.icon);
    this.button.type = "button";
    this.button.className = "play";
    this.button.append(picture);
    this.button.onclick = () => this.toggle();
    Object.assign(this.slider, { type: "range", min: "0", max: "1", step: "0.01", value: "0" });
    this.slider.setAttribute("aria-label", "Position");
    this.slider.oninput = () => this.current?.seek(Number(this.slider.value));
    this.label.className = "time";
    this.label.setAttribute("aria-hidden", "true"); // the slider says it
    this.element.append(this.button, this.slider, this.label);
    addEventListener("keydown", (event) => {
      const own = (event.target as Element).closest?.("input, select, button, a, summary, textarea");
      if (event.key === " " && (!own || own === this.slider)) {
        event.preventDefault();
        this.toggle();
      }
    });
    this.update();
  }

  /** What is played; null for nothing. */
  set clock(clock: Clock | null) {
    this.current = clock;
    this.slider.max = String(clock?.duration ?? 1);
    this.update();
  }

  toggle(): void {
    if (this.current?.playing) this.current.pause();
    else this.current?.play();
    this.update();
  }

  /** Show the time; to be called for every picture. */
  update(): void {
    const { time = 0, duration = 0, playing = false } = this.current ?? {};
    const said = `${minutes(time)} of ${minutes(duration)}`;
    set(this.button, "aria-label", playing ? "Pause" : "Play");
    set(this.icon, "d", playing ? PAUSE : PLAY);
    set(this.slider, "aria-valuetext", said);
    this.button.disabled = this.slider.disabled = !this.current;
    this.slider.value = String(time);
    this.slider.style.setProperty("--done", `${(100 * time) / (duration || 1)}%`);
    const text = `${minutes(time)} / ${minutes(duration)}`;
    if (this.label.textContent !== text) this.label.textContent = text;
  }
}

function set(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function minutes(seconds: number): string {
  const whole = Math.floor(seconds + 1e-6);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
