import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import react from '@vitejs/plugin-react'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const server = process.env.CHATOPS_URL ?? 'http://127.0.0.1:8500'

/** Puts a .gz and a .br beside each file, which the server sends to browsers that take them. */
const compressed: Plugin = {
  name: 'compressed',
  apply: 'build',
  writeBundle({ dir = '' }) {
    const assets = join(dir, 'assets')
    for (const name of readdirSync(assets)) {
      const file = join(assets, name)
      const content = readFileSync(file)
      writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }))
      writeFileSync(`${file}.br`, brotliCompressSync(content))
    }
  },
}

export default defineConfig({
  plugins: [react(), compressed],
  // The server puts a new nonce in its place for each visit, and into its policy.
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    // A part of the package, so that the server has its page wherever it is installed.
    outDir: '../../server/chatops/rest/assets/app',
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy takes no data: URLs
    chunkSizeWarningLimit: 1000, // tests/browser/test_build.py holds the limits
  },
  server: {
    // The page and the server have one origin, as when the server serves the built page.
    proxy: {
      '/ws': { target: server, ws: true, changeOrigin: false },
      '/api': { target: server, changeOrigin: false },
    },
  },
  test: {
    globalSetup: 'tests/support/globalSetup.ts',
    include: ['tests/**/*.test.{ts,tsx}'],
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
})
