/** The player of a `.html` file: the head, its motion and its sound are in the file itself. */

import { AnimationMixer } from "three";

import { Head } from "../face/head.js";
import { Stage } from "../face/stage.js";
import { type Clock, SilentClock, SoundClock } from "../ui/clock.js";
import { Transport } from "../ui/transport.js";
import "./player.css";

async function main(): Promise<void> {
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "A talking head");
  const transport = new Transport();
  document.body.append(canvas, transport.element);
  const head = await Head.load(content("head")!);
  const mixer = new AnimationMixer(head.object);
  for (const clip of head.clips) mixer.clipAction(clip).play();
  const clock = clockOf(Math.max(...head.clips.map((clip) => clip.duration)));
  let shown = -1;
  const stage = new Stage(canvas, () => {
    transport.update();
    const time = Math.min(clock.time, clock.duration - 1e-3); // at its very end a clip starts again
    if (time === shown) return;
    shown = time;
    mixer.setTime(Math.max(time, 0));
    stage.redraw();
  });
  stage.show(head);
  transport.clock = clock;
}

/** Of the sound in the file, or of the motion where there is none. */
function clockOf(seconds: number): Clock {
  const sound = content("sound");
  if (!sound) return new SilentClock(seconds);
  const audio = new Audio(URL.createObjectURL(new Blob([sound], { type: "audio/flac" })));
  audio.preload = "auto";
  return new SoundClock(audio, seconds);
}

/** The bytes of one of the file's data blocks. */
function content(name: string): ArrayBuffer | null {
  const block = document.getElementById(name);
  if (!block) return null;
  const text = atob(block.textContent!.trim());
  block.remove();
  return Uint8Array.from(text, (character) => character.charCodeAt(0)).buffer;
}

main().catch((error: Error) => {
  const line = document.createElement("p");
  line.setAttribute("role", "alert");
  line.textContent = error.message;
  document.body.append(line);
});
