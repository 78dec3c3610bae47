import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TlsFiles } from '../../iso8583/iso8583.ts'
import { TestAuthority } from './test-authority.ts'

/** Certificates of one machine's simulators and switch, all of one authority that nobody else believes. */
export class TestCertificates {
  readonly #folder: string

  /** What is there from an earlier run is taken up again. */
  constructor(folder: string, names: readonly string[]) {
    this.#folder = folder
    if (existsSync(join(folder, 'ca.pem'))) return
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const authority = new TestAuthority()
    for (const name of names) {
      const { key, certificate } = authority.issue({ name: dnsNameOf(name) })
      const files = this.files(name)
      writeFileSync(files.key, key, { mode: 0o600 })
      writeFileSync(files.certificate, certificate)
    }
    writeFileSync(join(folder, 'ca.pem'), authority.certificate)
  }

  files(name: string): TlsFiles {
    const [key, certificate, ca] = [`${name}.key`, `${name}.pem`, 'ca.pem'].map((file) =>
      join(this.#folder, file),
    ) as [string, string, string]
    return { key, certificate, ca }
  }
}

/** The alternative name in a participant's certificate. */
export function dnsNameOf(name: string): string {
  return `${name}.test`
}
