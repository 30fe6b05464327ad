/** Film: an MP4 of a sound by the server that the page comes from, if that is `codetalker serve`. */

import type { Manner } from "./messages.js";

/** Whether it is; elsewhere there is nobody to ask. */
export function isServed(): boolean {
  return document.documentElement.dataset["served"] !== undefined;
}

/** The bundled head speaking a WAV, with its sound. */
export async function film(sound: Blob, { style = {}, strength = 1, life = "off" }: Manner): Promise<Blob> {
  const query = new URLSearchParams({ format: "mp4", strength: String(strength), life });
  const blend = typeof style === "string" ? style : Object.entries(style).map(([name, share]) => `${name}:${share}`).join();
  if (blend) query.set("style", blend);
  const answer = await fetch(`v1/animate?${query}`, { method: "POST", body: sound });
  if (!answer.ok) throw new Error(`the server makes no film: ${((await answer.json()) as { error: string }).error}`);
  return answer.blob();
}
