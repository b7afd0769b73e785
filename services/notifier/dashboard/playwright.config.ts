// A browser on a running suite: `services/notifier/tests/dashboard.sh` starts one and says where it is.
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: 'tests',
  outputDir: process.env.FIELDWATCH_TEST_OUTPUT ?? 'test-results',
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: 'list',
  use: {
    baseURL: process.env.FIELDWATCH_API,
    viewport: { width: 1280, height: 800 },
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--no-proxy-server', '--disable-dev-shm-usage'],
    },
    screenshot: 'only-on-failure',
  },
});
