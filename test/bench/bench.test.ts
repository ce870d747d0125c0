import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { figures, outcome } from './figures.ts'
import { readBlock, requestBlocks } from './hpack.ts'
import { BadOptions, readOptions } from './options.ts'
import { median } from './results.ts'
import { runQuick } from './quick.ts'
import { choose, run } from './run.ts'
import type { Plan, ThoroughPlan } from './run.ts'
import { createStage } from './stage.ts'
import type { Stage } from './stage.ts'
import { shapes } from './subject.ts'
import { reference, subjects } from './subjects.ts'
import type { Make } from './subjects.ts'
import type { Expected } from './traffic.ts'

let stage: Stage
beforeAll(async () => {
  stage = await createStage({ many: 100, rsa: 100 })
})
afterAll(() => stage.close())

const common = { effort: { microMillis: 1, starts: 1, floodMillis: 1 }, say: () => undefined }

const tiny: Omit<ThoroughPlan, 'subjects' | 'names'> = {
  ...common,
  samples: 1,
  pace: {
    warmUp: { requests: 200, millis: 10_000 },
    turns: 1,
    slice: { requests: 300, millis: 10_000 },
    openMillis: 100,
  },
}

/** A subject on the program as it is written, not as it was last compiled, with another idea of what is right. */
function expecting(name: string, expected?: Expected): Make {
  return (on) => {
    const subject = subjects.get(name)?.(on)
    if (subject === undefined || typeof subject.server === 'string') throw new Error(`no subject ${name}`)
    const traffic = { ...subject.traffic, ...(expected === undefined ? {} : { expected }) }
    return { ...subject, server: { ...subject.server, program: 'src/main.ts' }, traffic }
  }
}

const runOf = (...makes: readonly (readonly [string, Make])[]) =>
  run(stage, { ...tiny, subjects: new Map(makes), names: makes.map(([name]) => name) })

describe('a run', () => {
  it('measures a subject against the floor of its protocol', async () => {
    const { samples } = await runOf(['grpc', expecting('grpc jwt 4x25')], ['http', expecting('http keyed')])
    for (const name of ['grpc', 'http']) {
      const [sample] = samples.get(name) ?? []
      expect(sample).toMatchObject({ closed: { answers: 300, wrong: 0 }, open: { wrong: 0 } })
      expect(sample?.cpu).toBeGreaterThan(0)
      expect(sample?.ratio).toBeCloseTo((sample?.cpu ?? 0) / (sample?.floor ?? 1), 6)
    }
  })

  it.each<[string, string, Expected, RegExp]>([
    ['a refusal is right and the answer an allow', 'grpc guest', { status: 403 }, /status 200 where 403 is right/],
    ['an allow is right and the answer a refusal', 'grpc deny', { status: 200 }, /status 403 where 200 is right/],
    [
      'another user',
      'grpc jwt 4x25',
      { status: 200, header: { name: 'x-user', value: 'eve' } },
      /x-user: user-0000\d+ where eve/,
    ],
    [
      'a header that is not set',
      'http keyed',
      { status: 200, header: { name: 'x-none' } },
      /x-none: undefined where user-/,
    ],
  ])('fails with the name of the subject where %s', async (_, name, expected, complaint) => {
    const failed = runOf([`wrong ${name}`, expecting(name, expected)])
    await expect(failed).rejects.toThrow(/^wrong .*: \d+ of \d+ answers are wrong, the first: /)
    await expect(failed).rejects.toThrow(complaint)
  })

  it('fails when the reference answers anything but its constant reply', async () => {
    const wrong: Make = (on) => ({
      ...expecting('grpc guest')(on),
      ...reference('e2', shapes['1x1'])(on),
      port: 'grpc',
    })
    const other: Make = (on) => ({ ...wrong(on), traffic: { ...wrong(on).traffic, expected: { status: 401 } } })
    await expect(runOf(['e2', other])).rejects.toThrow(/status 200 where 401 is right/)
  })
})

describe('a quick run', () => {
  const limits = { requests: 300, millis: 10_000 }
  const rest = { warmUp: limits, slice: limits, onceSlice: { requests: 5, millis: 10_000 }, leastRounds: 3, until: 0 }
  const quickly = (makes: readonly (readonly [string, Make])[], say: Plan['say'] = () => undefined) =>
    runQuick(stage, { ...common, ...rest, say, subjects: new Map(makes), names: makes.map(([name]) => name) })

  it('takes a sample of everything in as many rounds as it must when its time is over', async () => {
    const said: string[] = []
    const asked = ['grpc jwt 4x25', 'http keyed', 'grpc basic', 'grpc jwt cold'] as const
    const { samples } = await quickly(
      asked.map((name) => [name, expecting(name)]),
      (line) => said.push(line),
    )
    expect([...samples.keys()]).toEqual(asked)
    for (const [, [sample]] of samples) expect(sample).toMatchObject({ closed: { wrong: 0 }, open: undefined })
    expect(samples.get('grpc jwt 4x25')?.[0]?.closed.answers).toBe(300)
    expect(samples.get('grpc jwt cold')?.[0]?.closed.answers).toBe(5)
    expect(said.filter((line) => line.startsWith('round '))).toHaveLength(3)
  })

  it('fails with the name of the subject where an answer is wrong', async () => {
    const wrong = expecting('grpc guest', { status: 403 })
    await expect(quickly([['wrong guest', wrong]])).rejects.toThrow(/^wrong guest: .* status 200 where 403 is right/)
  })

  it('has the ratios alone', () => {
    expect(choose(/RSS|event-loop/, true)).toEqual([])
    expect(choose(/RSS|event-loop/, false)).toHaveLength(2)
  })
})

describe('figures', () => {
  const sample = (ratio: number) => ({ cpu: 1, floor: 1, ratio, drift: 0, closed: never, open: undefined })
  const never = {
    answers: 0,
    wrong: 0,
    requests: 0,
    seconds: 1,
    cpu: 0,
    utilisation: 0,
    latency: { p50: 0, p99: 0, p999: 0 },
  }
  const outcomes = (given: Readonly<Record<string, readonly number[]>>) => {
    const samples = new Map(Object.entries(given).map(([name, ratios]) => [name, ratios.map(sample)]))
    return figures.map((figure) => outcome(figure, { samples, values: new Map() }))
  }

  it('are medians over samples, with their range and a verdict', () => {
    const [jwt] = outcomes({ 'grpc jwt 4x25': [1.9, 1.7, 2.6] })
    expect(jwt).toMatchObject({ median: 1.9, least: 1.7, most: 2.6, samples: 3, verdict: 'gate held' })
  })

  it('take quotients within a round', () => {
    const ours = { 'grpc jwt 4x25': [2, 4], 'grpc jwt, proto-loader': [4, 6] }
    const found = outcomes(ours).find(({ name }) => name.startsWith('proto-loader'))
    expect(found).toMatchObject({ median: 1.75, least: 1.5, most: 2, verdict: 'aim reached' })
  })

  it('say what was not measured', () => {
    expect(new Set(outcomes({}).map(({ verdict }) => verdict))).toEqual(new Set(['not measured']))
  })

  it.each([
    [[3], 3],
    [[3, 1], 2],
    [[5, 1, 3], 3],
  ])('have %j in the middle of %d', (values, middle) => expect(median(values)).toBe(middle))

  it('name subjects and probes that there are', () => {
    expect(choose(/^grpc basic$/, true)).toEqual(['grpc basic'])
    expect(choose(/nothing is called this/, false)).toEqual([])
    expect(choose(/(?:)/, true)).toHaveLength(13)
  })
})

describe('header blocks', () => {
  it('spell fields out once and name them by index after that', () => {
    const { first, later } = requestBlocks([3, [4, '/a'], ['te', 'trailers']])
    expect([...later]).toEqual([0x83, 0xbf, 0xbe])
    expect(readBlock(first).get('te')).toBe('trailers')
  })

  it('are read as RFC 7541 C.6.1 has them', () => {
    const block = Buffer.from('4882640258', 'hex').subarray(0, 4)
    expect(readBlock(block).get(':status')).toBe('302')
  })
})

describe('the command line', () => {
  it('reads its options', () => {
    expect(readOptions(['--quick', '--only', 'jwt'])).toMatchObject({ quick: true, only: /jwt/, build: true })
    expect(readOptions(['--no-build', '--samples', '2'])).toMatchObject({ samples: 2, build: false })
  })

  it.each([[['--fast']], [['--samples', '0']], [['--quick', '--samples', '2']], [['--only', '(']]])(
    'refuses %j and tells what it takes',
    (args) => {
      expect(() => readOptions(args)).toThrow(BadOptions)
      expect(() => readOptions(args)).toThrow('npm run bench -- ')
    },
  )
})
