import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Where the Python package has what is built here. */
const ASSETS = "../src/codetalker/assets";
/** ONNX Runtime without what its bundle would add: its WebAssembly comes gzipped, its glue as a file. */
const CONDITIONS = ["onnxruntime-web-use-extern-wasm", "module", "browser", "production"];

export default defineConfig(({ mode }) => ({
  base: "./",
  publicDir: false,
  plugins: mode === "player" ? [oneFile()] : [gzippedRuntime()],
  resolve: mode === "test" ? {} : { conditions: CONDITIONS },
  worker: { format: "es" },
  build: {
    target: "es2023",
    outDir: mode === "player" ? ASSETS : `${ASSETS}/page`,
    emptyOutDir: mode !== "player",
    assetsInlineLimit: 0,
    modulePreload: false,
    chunkSizeWarningLimit: 1000,
    rolldownOptions: {
      input: mode === "player" ? "player.html" : "index.html",
      output: { assetFileNames: ({ names: [name] }) => `assets/[name]-[hash]${name?.endsWith(".mjs") ? ".js" : "[extname]"}` },
    },
  },
  test: { globalSetup: "tests/setup.ts", include: ["tests/*.test.ts"] },
}));

/** `virtual:ort-wasm`: ONNX Runtime's WebAssembly, gzipped, as a file of the page. */
function gzippedRuntime(): Plugin {
  const name = "virtual:ort-wasm";
  const wasm = fileURLToPath(import.meta.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm"));
  return {
    name: "gzipped-runtime",
    resolveId: (id) => (id === name ? `\0${name}` : undefined),
    load(id) {
      if (id !== `\0${name}`) return;
      const source = gzipSync(readFileSync(wasm), { level: 9 });
      const file = this.emitFile({ type: "asset", name: "ort.wasm.gz", source });
      return `export default import.meta.ROLLUP_FILE_URL_${file}`;
    },
  };
}

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
