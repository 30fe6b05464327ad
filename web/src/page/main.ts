/** The page: a sound from somewhere, the face that it makes, and what is seen and saved of both. */

import sampleUrl from "../../../examples/sense_and_sensibility.flac?url";
import { Head } from "../face/head.js";
import { Stage } from "../face/stage.js";
import { json } from "../files/json.js";
import { livelink } from "../files/livelink.js";
import { fetched } from "../talker/bundle.js";
import { type Clock, SoundClock } from "../ui/clock.js";
import { Transport } from "../ui/transport.js";
import { Controls, element } from "./controls.js";
import { Engine } from "./engine.js";
import { film, isServed } from "./film.js";
import { Graph } from "./graph.js";
import type { Facts } from "./messages.js";
import { Microphone } from "./microphone.js";
import { decoded, LONGEST, type Sound, wav } from "./sound.js";
import { Take } from "./take.js";
import "./page.css";

/** Seconds over the model's latency that the face stays behind the microphone: computing, transport. */
const MARGIN = 0.12;
/** Seconds of motion that are ready before a recording plays. */
const AHEAD = 0.4;

class Page {
  private readonly engine = new Engine();
  private readonly transport = new Transport();
  private readonly audio = new Audio();
  private readonly controls = new Controls(() => this.manner());
  private readonly graph = new Graph(
    element("waveform", HTMLCanvasElement),
    element("curves", HTMLCanvasElement),
    element("playhead", HTMLElement),
    element("legend", HTMLElement),
    (share) => this.clock?.seek(share * this.clock.duration),
  );
  private readonly stage = new Stage(element("face", HTMLCanvasElement), () => this.picture());
  private bundled!: ArrayBuffer;
  private head: Head | null = null;
  private facts!: Facts;
  private take: Take | null = null;
  private clock: Clock | null = null;
  private live: { microphone: Microphone; begun: number } | null = null;
  private stream = -1;
  private shown = "";

  /** Load the model and the head; then the page can be used. */
  async open(): Promise<void> {
    element("transport", HTMLElement).replaceWith(this.transport.element);
    this.say("Loading the model and the head …");
    const model = this.engine.load("model/", (bytes) => this.say(`Loading the model, ${(bytes / 1e6).toFixed(1)} MB …`));
    this.bundled = (await fetched(new URL("head.glb", document.baseURI))).buffer;
    await this.wear(this.bundled);
    this.facts = await model;
    this.controls.open(this.facts.styles);
    element("film", HTMLButtonElement).hidden = !isServed();
    this.listen();
    this.say("Ready. Play the sample, open a recording, or speak.");
  }

  private listen(): void {
    const { controls } = this;
    controls.on("sample", async () => {
      const url = new URL(sampleUrl, document.baseURI);
      await this.play((await fetched(url)).buffer, "sample");
    });
    controls.on("microphone", () => (this.live ? this.hush() : this.speak()));
    controls.on("bundled", () => this.wear(this.bundled));
    controls.onFile("recording", (file) => this.opened(file));
    controls.onFile("head", (file) => this.opened(file));
    controls.onDrop("stage", (file) => this.opened(file));
    controls.onSave((kind) => this.save(kind));
    controls.trouble = (error) => this.say(error.message, true);
  }

  /** A file of the user: a head or a recording. */
  private async opened(file: File): Promise<void> {
    if (/\.(glb|gltf|vrm)$/i.test(file.name)) {
      await this.wear(await file.arrayBuffer());
      this.say(`${file.name}: ${this.head!.count} of 52 ARKit shapes.`);
    } else await this.play(await file.arrayBuffer(), file.name);
  }

  private async wear(glb: ArrayBuffer): Promise<void> {
    this.head = await Head.load(glb);
    this.stage.show(this.head);
    this.controls.own = glb !== this.bundled;
    this.shown = "";
  }

  /** Make motion of a recording, and play both. */
  private async play(file: ArrayBuffer, name: string): Promise<void> {
    if (this.live) this.hush();
    this.clock?.pause();
    this.say(`Reading ${name} …`);
    const sound = await decoded(file, name);
    const take = (this.take = new Take(name.replace(/\.[^.]*$/, ""), sound, this.facts.names, this.facts.fps));
    this.graph.show(take);
    this.load(sound);
    this.animate(take, true);
  }

  /** The sound for the player. */
  private load(sound: Sound): void {
    URL.revokeObjectURL(this.audio.src);
    this.audio.src = URL.createObjectURL(wav(sound));
    this.clock = new SoundClock(this.audio, sound.samples.length / sound.rate);
    this.transport.clock = this.clock;
  }

  /** Make the motion of a take (anew), and play it if asked to. */
  private animate(take: Take, play: boolean): void {
    this.engine.stop(this.stream);
    this.controls.savable = false;
    this.say("Making the motion …");
    let made = 0;
    this.stream = this.engine.animate(take.samples, take.rate, this.controls.manner, {
      frames: (motion, last) => {
        take.put(motion);
        made = (motion.first + motion.weights.length) / motion.fps;
        this.shown = "";
        this.graph.redraw();
        if (play && (made > AHEAD || last)) {
          play = false;
          this.clock?.play();
        }
        this.say(last ? "Ready." : `Making the motion, ${made.toFixed(0)} of ${take.duration.toFixed(0)} s …`);
        if (last) this.controls.savable = true;
      },
      failed: (message) => this.say(message, true),
    });
  }

  /** Take the microphone. */
  private async speak(): Promise<void> {
    this.clock?.pause();
    this.transport.clock = this.clock = null;
    this.engine.stop(this.stream);
    this.controls.savable = false;
    let take: Take | null = null;
    const hear = (samples: Float32Array, rate: number) => {
      if (!take) {
        take = this.take = new Take("microphone", { samples, rate }, this.facts.names, this.facts.fps);
        this.graph.show(take);
        this.live!.begun = performance.now() / 1000;
        this.stream = this.engine.start(rate, this.controls.manner, this.into(take));
      } else take.hear(samples);
      this.engine.feed(this.stream, samples);
      this.graph.redraw();
      if (take.duration > LONGEST) this.hush();
    };
    const begun = Infinity;
    let early: Float32Array[] | null = [];
    const microphone = await Microphone.open((samples, rate) => {
      if (this.live) hear(samples, rate);
      else early?.push(samples);
    });
    this.live = { microphone, begun };
    for (const samples of early) hear(samples, microphone.rate);
    early = null;
    this.controls.listening = true;
    const behind = this.facts.latency + MARGIN;
    this.say(`Listening; the face is ${behind.toFixed(1)} s behind. Press again to stop.`);
  }

  /** Let the microphone go; what was spoken can be played and saved. */
  private hush(): void {
    this.live?.microphone.stop();
    this.live = null;
    this.controls.listening = false;
    if (!this.take) return this.say("Nothing was heard.");
    this.engine.finish(this.stream);
    this.load({ samples: this.take.samples, rate: this.take.rate });
    this.clock?.seek(this.clock.duration);
  }

  private into(take: Take) {
    return {
      frames: (motion: Parameters<Take["put"]>[0], last: boolean) => {
        take.put(motion);
        if (!last) return;
        this.controls.savable = true;
        this.graph.redraw();
        this.say("Ready. Play what you said, or save it.");
      },
      failed: (message: string) => this.say(message, true),
    };
  }

  /** Style, strength or life have changed. */
  private manner(): void {
    if (this.live) this.engine.set(this.stream, this.controls.manner);
    else if (this.take) this.animate(this.take, false);
  }

  /** Ahead of every picture: the face of this time in the sound. */
  private picture(): void {
    this.transport.update();
    const time = this.time();
    this.graph.update(time);
    const key = `${time}`;
    if (!this.head || key === this.shown) return;
    this.shown = key;
    const pose = this.take?.at(time);
    if (pose) this.head.pose(pose);
    this.stage.redraw();
  }

  private time(): number {
    if (!this.live || !this.take) return this.clock?.time ?? 0;
    const behind = performance.now() / 1000 - this.live.begun - this.facts.latency - MARGIN;
    return Math.min(behind, this.take.ready - 1 / this.facts.fps);
  }

  private async save(kind: string): Promise<void> {
    if (!this.take || !this.head) return;
    const { take } = this;
    if (kind === "mp4") this.say("The server makes the film …");
    const content = {
      glb: () => this.head!.animated(take.motion),
      csv: () => livelink(take.motion),
      json: () => json(take.motion),
      mp4: () => film(wav({ samples: take.samples, rate: take.rate }), this.controls.manner),
    }[kind]!();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([await content]));
    link.download = `${take.name}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    this.say(`Saved ${link.download}.`);
  }

  private say(line: string, wrong = false): void {
    const status = element("status", HTMLElement);
    if (status.textContent !== line) status.textContent = line;
    status.classList.toggle("wrong", wrong);
  }

  /** Whatever went wrong, in one line. */
  failed(error: Error): void {
    this.say(error.message, true);
  }

  /** Seconds of computing for each second of sound so far. */
  get realTimeFactor(): number {
    return this.engine.spent.computing / this.engine.spent.sound;
  }
}

try {
  const page = new Page();
  Object.assign(globalThis, { codetalker: page }); // for the console
  page.open().catch((error: Error) => page.failed(error));
} catch (error) {
  element("status", HTMLElement).textContent = (error as Error).message;
}
