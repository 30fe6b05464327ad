/**
 * What a browser makes of the page and of a saved `.html`: `browser.mjs SITE SOUND HEAD TALK OUT`
 * writes `report.json`, downloads and screenshots to OUT. `CHROMIUM` names the browser.
 */

import { createReadStream, existsSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { pathToFileURL } from "node:url";

import { chromium } from "playwright-core";

const [site, sound, head, talk, out] = process.argv.slice(2);
const KINDS = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
  "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
  `--use-file-for-fake-audio-capture=${sound}`,
];

const server = createServer((request, response) => {
  const path = join(site, new URL(request.url, "http://x").pathname.replace(/\/$/, "/index.html"));
  if (!existsSync(path) || !statSync(path).isFile()) return response.writeHead(404).end();
  response.writeHead(200, { "content-type": KINDS[extname(path)] ?? "application/octet-stream" });
  return createReadStream(path).pipe(response);
}).listen(0, "127.0.0.1");
await new Promise((resolve) => server.on("listening", resolve));
const origin = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
const report = { errors: [], beyond: [] };
const at = (name) => join(out, name);

/** A page that keeps its errors and what it asks for elsewhere. */
async function opened(url, width, height) {
  const page = await browser.newPage({ viewport: { width, height } });
  page.on("console", (message) => message.type() === "error" && report.errors.push(message.text()));
  page.on("pageerror", (error) => report.errors.push(String(error)));
  page.on("request", (request) => {
    const own = ["blob:", "data:", url.startsWith("file:") ? url : `${origin}/`];
    if (!own.some((start) => request.url().startsWith(start))) report.beyond.push(request.url());
  });
  await page.goto(url);
  return page;
}

const status = (page, text) => page.locator("#status", { hasText: text }).waitFor({ timeout: 90_000 });

/** The mouth's pixels with the sound paused at some times. */
async function mouths(page, canvas, times) {
  const box = await page.locator(canvas).boundingBox();
  const clip = { x: box.x + box.width / 2 - 70, y: box.y + box.height * 0.55, width: 140, height: box.height * 0.2 };
  const pictures = [];
  for (const time of times) {
    await page.locator(".transport input").evaluate((slider, value) => {
      slider.value = value;
      slider.dispatchEvent(new Event("input"));
    }, String(time));
    await page.waitForTimeout(250);
    pictures.push((await page.screenshot({ clip })).toString("base64"));
  }
  return pictures;
}

const page = await opened(`${origin}/`, 1280, 860);
await status(page, "Ready. Play the sample");
await page.screenshot({ path: at("start.png") });

await page.setInputFiles("#recording", sound);
await page.waitForFunction(() => codetalker.clock?.playing, null, { timeout: 60_000 });
report.apart = await page.evaluate(async () => {
  const apart = [];
  for (let i = 0; i < 60; i++) {
    await new Promise(requestAnimationFrame);
    apart.push(Math.abs(Number(codetalker.shown || codetalker.time()) - codetalker.audio.currentTime));
  }
  return Math.max(...apart);
});
await page.screenshot({ path: at("playing.png") });
await status(page, /^Ready\.$/);
report.realTimeFactor = await page.evaluate(() => codetalker.realTimeFactor);
if (await page.evaluate(() => codetalker.clock.playing)) await page.keyboard.press("Space");
report.paused = !(await page.evaluate(() => codetalker.clock.playing));
report.times = [0.2, 1.5, 1.8, 2.1, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9];
report.mouths = await mouths(page, "#face", report.times);
report.weights = await page.evaluate(() => codetalker.take.motion.weights.map((frame) => [...frame]));
for (const kind of ["glb", "csv", "json"]) {
  const [download] = await Promise.all([page.waitForEvent("download"), page.click(`#downloads [value=${kind}]`)]);
  await download.saveAs(at(`saved.${kind}`));
}

await page.locator("#strength").fill("0");
await page.waitForFunction(() => document.querySelector("#downloads button").disabled);
await page.locator("#downloads button:enabled").first().waitFor({ timeout: 90_000 });
report.still = await page.evaluate(() => Math.max(...codetalker.take.motion.weights.map((frame) => frame[17])));

await page.setInputFiles("#head", head);
await status(page, "52 of 52");
report.own = await mouths(page, "#face", [0.2]);
await page.setInputFiles("#head", { name: "no.glb", mimeType: "", buffer: Buffer.from("not a head") });
await status(page, "no GLB file");
await page.setInputFiles("#recording", { name: "no.wav", mimeType: "", buffer: Buffer.from("not a sound") });
await status(page, "no sound that this browser can decode");

await page.click("#microphone");
await status(page, "Listening");
await page.waitForFunction(() => codetalker.take?.ready > 2, null, { timeout: 60_000 });
await page.click("#microphone");
await status(page, "Ready. Play what you said");
report.spoken = await page.evaluate(() => [codetalker.take.duration, codetalker.take.ready]);
await page.close();

const phone = await opened(`${origin}/`, 390, 844);
await status(phone, "Ready. Play the sample");
await phone.click("#sample");
await status(phone, /^Ready\.$/);
report.overflow = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
await phone.screenshot({ path: at("phone.png") });
await phone.screenshot({ path: at("phone-whole.png"), fullPage: true });
await phone.close();

const file = await opened(pathToFileURL(talk).href, 800, 700);
await file.locator(".play:enabled").click();
await file.waitForFunction(() => document.querySelector("input").value > 0.8, null, { timeout: 20_000 });
report.played = Number(await file.locator("input").inputValue());
await file.screenshot({ path: at("talk.png") });
await file.locator(".play").click();
report.talk = await mouths(file, "canvas", report.times);

writeFileSync(at("report.json"), JSON.stringify(report));
await browser.close();
server.close();
