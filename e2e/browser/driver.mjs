// Drives one Chromium for the Go tests beside it: reads one command as a line of
// JSON from standard input, answers with one on standard output, and ends with its
// input. It judges nothing. The commands are what browser_test.go sends.
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const patience = 20_000
let context, page, seen

// start begins with an empty profile: no cookies, nothing seen.
async function start({ width = 1000, height = 800, dark = false }) {
  await context?.close()
  context = await browser.newContext({ viewport: { width, height }, colorScheme: dark ? 'dark' : 'light' })
  context.setDefaultTimeout(patience)
  page = await context.newPage()
  seen = { responses: [], messages: [], failures: [] }
  const to = seen
  page.on('response', (response) => {
    const one = { url: response.url(), status: response.status(), headers: response.headers(), body: '' }
    to.responses.push(one)
    response.text().then((text) => { one.body = text }, () => {}) // a redirect has none
  })
  page.on('console', (message) => to.messages.push(`${message.location().url}: ${message.text()}`))
  page.on('pageerror', (error) => to.messages.push(`${page.url()}: ${error}`))
  page.on('requestfailed', (request) => to.failures.push(`${request.url()}: ${request.failure()?.errorText}`))
}

// named is the button or link that a person would call so.
const named = (name) => page.getByRole('button', { name }).or(page.getByRole('link', { name }))

const commands = {
  start,
  open: async ({ url }) => ({ status: (await page.goto(url, { waitUntil: 'load' }))?.status() ?? 0 }),
  press: async ({ name }) => {
    await Promise.all([page.waitForEvent('framenavigated', { timeout: patience }), named(name).click()])
    await page.waitForLoadState('load')
  },
  click: async ({ name }) => { await named(name).click() },
  type: async ({ label, text }) => { await page.getByLabel(label, { exact: true }).fill(text) },
  page: async () => ({ url: page.url(), title: await page.title(), text: await page.innerText('body'), html: await page.content() }),
  evaluate: async ({ code }) => ({ value: await page.evaluate(code) }),
  cookies: async () => ({ value: await context.cookies() }),
  seen: async () => ({ value: seen }),
  shot: async ({ path }) => { await page.screenshot({ path, fullPage: true }) },
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line)
  let answer
  try {
    answer = (await commands[command.do](command)) ?? {}
  } catch (error) {
    answer = { error: String(error) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
await browser.close()
