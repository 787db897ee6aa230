// How the pages are built: stable names, no outside request, the same bytes each time. docs: web/README.md
import { defineConfig } from "vite";

const server = process.env.PONDAGE_URL ?? "http://127.0.0.1:8000";
const ours = ["/api", "/queue", "/storage", "/files", "/openapi.json", "/local", "/tokens", "/healthz"];

export default defineConfig(({ command }) => ({
  base: command === "serve" ? "/ui/" : "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  server: {
    port: 5173,
    proxy: Object.fromEntries(ours.map((path) => [path, { target: server, ws: true }])),
  },
  build: {
    outDir: process.env.PONDAGE_WEB_OUT ?? "../src/pondage/dashboard/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    reportCompressedSize: false,
    rollupOptions: {
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "app[extname]",
        // Two scripts for any page: what every page has, and what the pages that run or show a request share.
        codeSplitting: {
          groups: [
            { name: "shell", test: /web.(src.(app|router|place|ui|api|live|json|pages.home|chart.spark)|node_modules)/, priority: 2 },
            { name: "playground", test: /web.src.(form|play|media|chart|pages.playground)/, priority: 1 },
          ],
        },
      },
    },
  },
}));
