/** Controls: the page's buttons, sliders and files. */

import { LIVELINESS, type Liveliness } from "../talker/index.js";
import type { Manner } from "./messages.js";

/** Milliseconds after the last move of a slider until it counts. */
const SETTLED = 250;
const NOBODY = "no one";

export class Controls {
  /** Hears what goes wrong in the work that a control starts. */
  trouble: (error: Error) => void = () => {};
  private readonly style = element("style", HTMLSelectElement);
  private readonly other = element("other", HTMLSelectElement);
  private readonly share = element("share", HTMLInputElement);
  private readonly strength = element("strength", HTMLInputElement);
  private settling = 0;

  constructor(private readonly changed: () => void) {
    for (const slider of [this.share, this.strength]) slider.oninput = () => this.moved();
    for (const choice of [this.style, this.other, ...radios("life")]) choice.onchange = () => this.moved(0);
    this.show();
  }

  /** Offer the model's styles; the page can be used. */
  open(styles: readonly string[]): void {
    this.style.replaceChildren(...styles.map((name) => new Option(name)));
    this.other.replaceChildren(new Option(NOBODY), ...styles.map((name) => new Option(name)));
    for (const id of ["sample", "microphone"]) element(id, HTMLButtonElement).disabled = false;
    this.style.disabled = this.other.disabled = false;
  }

  get manner(): Manner {
    const life = radios("life").find((radio) => radio.checked)?.value as Liveliness | undefined;
    const [name, other, share] = [this.style.value, this.other.value, Number(this.share.value)];
    const alone = other === NOBODY || other === name;
    const style = alone ? name : { [name]: 1 - share, [other]: share };
    return { style, strength: Number(this.strength.value), life: life ?? LIVELINESS[0]! };
  }

  /** Whether there is a motion to save. */
  set savable(is: boolean) {
    for (const button of downloads()) button.disabled = !is;
  }

  /** Whether the user's own head is shown. */
  set own(is: boolean) {
    element("bundled", HTMLButtonElement).disabled = !is;
  }

  set listening(is: boolean) {
    const button = element("microphone", HTMLButtonElement);
    button.setAttribute("aria-pressed", String(is));
    button.textContent = is ? "Stop" : "Microphone";
  }

  on(button: string, act: () => Promise<void> | void): void {
    element(button, HTMLButtonElement).onclick = () => this.attempt(act);
  }

  onFile(input: string, act: (file: File) => Promise<void>): void {
    const chooser = element(input, HTMLInputElement);
    chooser.onchange = () => {
      const file = chooser.files?.[0];
      if (file) void this.attempt(() => act(file)).finally(() => (chooser.value = ""));
    };
  }

  onDrop(place: string, act: (file: File) => Promise<void>): void {
    const target = element(place, HTMLElement);
    addEventListener("dragover", (event) => {
      event.preventDefault();
      target.classList.add("dragged");
    });
    addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) target.classList.remove("dragged");
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      target.classList.remove("dragged");
      const file = event.dataTransfer?.files[0];
      if (file) void this.attempt(() => act(file));
    });
  }

  onSave(act: (kind: string) => Promise<void>): void {
    for (const button of downloads()) button.onclick = () => this.attempt(() => act(button.value));
  }

  private async attempt(act: () => Promise<void> | void): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.trouble(error as Error);
    }
  }

  private moved(after = SETTLED): void {
    this.show();
    clearTimeout(this.settling);
    this.settling = window.setTimeout(this.changed, after);
  }

  private show(): void {
    element("share-row", HTMLElement).hidden = !this.other.value || this.other.value === NOBODY;
    for (const slider of [this.share, this.strength]) {
      const { value, max } = slider;
      slider.parentElement!.querySelector("output")!.value = Number(value).toFixed(2);
      slider.style.setProperty("--done", `${(100 * Number(value)) / Number(max)}%`);
    }
  }
}

/** The element of an id. */
export function element<T extends HTMLElement>(id: string, kind: abstract new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}; reload it`);
  return found;
}

function radios(name: string): HTMLInputElement[] {
  return [...document.querySelectorAll<HTMLInputElement>(`input[name="${name}"]`)];
}

function downloads(): HTMLButtonElement[] {
  return [...document.querySelectorAll<HTMLButtonElement>("#downloads button")];
}
