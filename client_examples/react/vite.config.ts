import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const server = process.env.CHATOPS_URL ?? 'http://127.0.0.1:8500'

export default defineConfig({
  plugins: [react()],
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
