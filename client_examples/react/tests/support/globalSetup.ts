import type { TestProject } from 'vitest/node'
import { ServerProcess } from './server'

declare module 'vitest' {
  export interface ProvidedContext {
    serverUrl: string
  }
}

/** One server for all tests that do not kill it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await new ServerProcess({
    CHATOPS_ASSISTANT_MODE: 'off',
    CHATOPS_CORS_ORIGINS: 'http://localhost:3000', // the pages of jsdom
  }).start()
  project.provide('serverUrl', server.url)
  return () => server.end()
}
