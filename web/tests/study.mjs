/**
 * Raters of a study: `study.mjs ADDRESS BETTER OUT` answers all questions as two people would, one with keys and one on a
 * phone, and writes what they saw to OUT/report.json, with screenshots and saved answers. `BETTER` is a JSON file of film
 * names, of which the one that comes first is preferred. `CHROMIUM` names the browser.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

const [address, better, out] = process.argv.slice(2);
const rank = new Map(JSON.parse(readFileSync(better, "utf8")).map((film, i) => [film, i]));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const report = { errors: [], beyond: [] };
const at = (name) => join(out, name);

async function opened(context) {
  const page = await context.newPage();
  page.on("console", (message) => message.type() === "error" && report.errors.push(message.text()));
  page.on("pageerror", (error) => report.errors.push(String(error)));
  page.on("request", (request) => {
    const own = [address, "blob:", "data:"];
    if (!own.some((start) => request.url().startsWith(start))) report.beyond.push(request.url());
  });
  await page.goto(address);
  await page.locator("#begin").waitFor();
  return page;
}

const ready = (page) => page.locator("#status", { hasText: "Play both faces" }).waitFor();
const faster = (page) => page.evaluate(() => document.querySelectorAll("video").forEach((film) => (film.playbackRate = 4)));
const progress = (page) => page.locator("#progress span").textContent();

/** Which side is preferred, 0 or 1. */
async function preferred(page) {
  const [left, right] = await page.locator("video").evaluateAll((films) => films.map((film) => film.dataset.film));
  return rank.get(left) < rank.get(right) ? 0 : 1;
}

async function answered(page, go) {
  const text = await progress(page);
  await go();
  await page.waitForFunction(
    (before) => !document.querySelector("#end").hidden || document.querySelector("#progress span").textContent !== before,
    text,
  );
  return page.locator("#end").isVisible();
}

/** With keys alone. */
async function withKeys(page) {
  await ready(page);
  await faster(page);
  const side = await preferred(page);
  await page.keyboard.press("Space");
  await page.locator("#status", { hasText: "Face 1 has been played" }).waitFor();
  await page.keyboard.press("Space");
  await page.locator("#status", { hasText: "Both faces" }).waitFor();
  for (const key of [String(side + 1), side ? "ArrowRight" : "ArrowLeft", String(side + 1)]) await page.keyboard.press(key);
  return answered(page, () => page.keyboard.press("Enter"));
}

/** With fingers, by what a screen reader calls things. */
async function withFingers(page) {
  await ready(page);
  await faster(page);
  const side = await preferred(page);
  for (const face of [1, 2]) {
    await page.getByRole("button", { name: `Play face ${face}` }).tap();
    await page.locator(`#play${face}.played`).waitFor();
  }
  for (const group of await page.getByRole("group").all()) await group.getByRole("radio", { name: `Face ${side + 1}` }).tap();
  return answered(page, () => page.getByRole("button", { name: "Next" }).tap());
}

async function saved(page, name) {
  if (!(await page.locator("#save").isVisible())) return;
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  await download.saveAs(at(name));
}

const desk = await browser.newContext({ viewport: { width: 1280, height: 860 } });
let page = await opened(desk);
await page.screenshot({ path: at("start.png") });
await page.keyboard.press("Tab");
await page.keyboard.press("Enter");
await ready(page);

const chosen = () => page.locator("#questions :checked").count();
await page.keyboard.press("1");
report.early = [await chosen(), await page.locator("#next").isEnabled()];
await page.evaluate(async () => {
  const film = document.querySelector("#film1");
  film.currentTime = film.duration - 0.1;
  await film.play();
});
await page.locator("#status", { hasText: "Please play it whole" }).waitFor();
report.skipped = [await page.locator("#play1.played").count(), await chosen()];
await page.evaluate(() => document.querySelector("#film1").load());
await page.evaluate(() => document.querySelector("#status").textContent = "Play both faces to the end.");
await withKeys(page);
await withKeys(page);
report.before = await progress(page);
await page.close();

page = await opened(desk);
report.onward = await page.locator("#begin").textContent();
await page.click("#begin");
report.after = await progress(page);
await page.screenshot({ path: at("trial.png") });
while (!(await withKeys(page)));
report.kept = await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie);
await page.screenshot({ path: at("end.png") });
await saved(page, "desk.json");

const phone = await browser.newContext({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
page = await opened(phone);
await page.screenshot({ path: at("phone-start.png") });
await page.locator("#begin").tap();
await ready(page);
report.overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
await page.screenshot({ path: at("phone.png") });
while (!(await withFingers(page)));
await saved(page, "phone.json");

await browser.close();
writeFileSync(at("report.json"), JSON.stringify(report));
