import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Where the Python package has what is built here. */
const ASSETS = "../src/codetalker/assets";

export default defineConfig(({ mode }) => ({
  base: "./",
  publicDir: false,
  plugins: mode === "player" ? [oneFile()] : [],
  build: {
    target: "es2023",
    outDir: ASSETS,
    emptyOutDir: false,
    modulePreload: false,
    rolldownOptions: { input: "player.html" },
  },
  test: { globalSetup: "tests/setup.ts", include: ["tests/*.test.ts"] },
}));

/** Puts scripts and styles into the page. */
function oneFile(): Plugin {
  return {
    name: "one-file",
    enforce: "post",
    generateBundle(_, bundle) {
      const parts = Object.values(bundle);
      const page = parts.find((part) => part.fileName.endsWith(".html"));
      if (page?.type !== "asset") return;
      let html = String(page.source).replaceAll(/\s*<(script type="module"[^>]*><\/script>|link rel="stylesheet"[^>]*>)/g, "");
      for (const part of parts.filter((part) => part !== page)) {
        const [tag, place, content] =
          part.type === "chunk" ? ["script type=\"module\"", "</body>", part.code] : ["style", "</head>", String(part.source)];
        const closed = content.trim().replaceAll("</script", "<\\/script");
        html = html.replace(place, () => `<${tag}>${closed}</${tag.split(" ")[0]}>\n${place}`);
        delete bundle[part.fileName];
      }
      page.source = html;
    },
  };
}
