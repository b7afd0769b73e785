// The bundle: one script and one stylesheet under fixed names, which notifier embeds and serves from its own root.
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    outDir: process.env.FIELDWATCH_ASSETS ?? '../assets',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: { output: { entryFileNames: 'app.js', assetFileNames: 'app[extname]' } },
  },
  // While the page is worked on: `FIELDWATCH_API=http://127.0.0.1:8080 npm run dev`.
  server: { proxy: { '/v1': process.env.FIELDWATCH_API ?? 'http://127.0.0.1:8080' } },
});
