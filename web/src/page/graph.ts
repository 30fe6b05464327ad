/** Graph: the waveform over the weights as curves, with the place that is played. */

import type { Take } from "./take.js";

/** Weights that can be shown, and their colours. */
const CURVES = [
  ["jawOpen", "#1f8a78"], ["mouthClose", "#3b6fb6"], ["mouthFunnel", "#b0583f"], ["mouthPucker", "#8a5fb0"],
  ["mouthSmileLeft", "#b08a1f"], ["mouthRollLower", "#5d7a3a"], ["eyeBlinkLeft", "#7a8796"], ["browInnerUp", "#c25a86"],
] as const;
const SHOWN_FIRST = 4;

export class Graph {
  private readonly shown = new Set<string>(CURVES.slice(0, SHOWN_FIRST).map(([name]) => name));
  private take: Take | null = null;
  private stale = true;
  private placed = "";

  constructor(
    private readonly waveform: HTMLCanvasElement,
    private readonly curves: HTMLCanvasElement,
    private readonly playhead: HTMLElement,
    legend: HTMLElement,
    seek: (share: number) => void,
  ) {
    for (const [name, colour] of CURVES) legend.append(this.chip(name, colour));
    const box = waveform.parentElement!;
    const move = (event: PointerEvent) => {
      const { left, width } = box.getBoundingClientRect();
      seek(Math.min(Math.max((event.clientX - left) / width, 0), 1));
    };
    box.onpointerdown = (event) => {
      box.setPointerCapture(event.pointerId);
      move(event);
    };
    box.onpointermove = (event) => {
      if (event.buttons) move(event);
    };
    new ResizeObserver(() => this.redraw()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").onchange = () => this.redraw();
  }

  show(take: Take): void {
    this.take = take;
    this.redraw();
  }

  redraw(): void {
    this.stale = true;
  }

  /** Bring it up to date; to be called for every picture. */
  update(time: number): void {
    const { take } = this;
    const share = take?.duration ? Math.min(time / take.duration, 1) : 0;
    const place = `${(100 * share).toFixed(2)}%`;
    if (place !== this.placed) this.playhead.style.left = this.placed = place;
    if (!this.stale) return;
    this.stale = false;
    this.drawWave(surface(this.waveform));
    this.drawCurves(surface(this.curves));
  }

  private drawWave({ pen, width, height }: Surface): void {
    if (!this.take) return;
    const { samples } = this.take;
    pen.fillStyle = getComputedStyle(this.waveform).color;
    for (let x = 0; x < width; x++) {
      const [from, to] = [x, x + 1].map((n) => Math.floor((n * samples.length) / width)) as [number, number];
      const step = Math.max(1, Math.floor((to - from) / 200));
      let peak = 0;
      for (let i = from; i < Math.max(to, from + 1); i += step) peak = Math.max(peak, Math.abs(samples[i] ?? 0));
      const tall = Math.max(1, Math.sqrt(peak) * height * 0.96);
      pen.fillRect(x, (height - tall) / 2, 1, tall);
    }
  }

  private drawCurves({ pen, width, height, dense }: Surface): void {
    if (!this.take) return;
    const { weights, names, fps } = this.take.motion;
    const frames = this.take.duration * fps;
    const stride = Math.max(1, Math.floor(frames / width));
    pen.lineWidth = 1.5 * dense;
    pen.lineJoin = "round";
    for (const [name, colour] of CURVES) {
      const column = names.indexOf(name);
      if (!this.shown.has(name) || column < 0) continue;
      pen.strokeStyle = colour;
      pen.beginPath();
      for (let i = 0; i < weights.length; i += stride) {
        pen.lineTo((i / frames) * width, height - 2 * dense - weights[i]![column]! * (height - 4 * dense));
      }
      pen.stroke();
    }
  }

  private chip(name: string, colour: string): HTMLLabelElement {
    const chip = document.createElement("label");
    const box = document.createElement("input");
    const text = document.createElement("span");
    Object.assign(box, { type: "checkbox", checked: this.shown.has(name) });
    box.onchange = () => {
      if (box.checked) this.shown.add(name);
      else this.shown.delete(name);
      this.redraw();
    };
    text.textContent = name;
    text.style.setProperty("--colour", colour);
    chip.append(box, text);
    return chip;
  }
}

interface Surface {
  pen: CanvasRenderingContext2D;
  width: number;
  height: number;
  /** Pixels of the screen in one of the page. */
  dense: number;
}

/** An empty canvas in the screen's pixels. */
function surface(canvas: HTMLCanvasElement): Surface {
  const dense = devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * dense);
  canvas.height = Math.round(canvas.clientHeight * dense);
  return { pen: canvas.getContext("2d")!, width: canvas.width, height: canvas.height, dense };
}
