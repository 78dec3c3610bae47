import { statfs } from 'node:fs/promises'

/** Whether there is room on the disk that the books are on. Below the reserve nothing new is taken in. */
export interface DiskReserve {
  readonly isKept: boolean
  stop(): void
}

export interface DiskReserveOptions {
  /** A folder on that disk. */
  readonly folder: string
  /** So much stays free for what must still be written: outcomes, reversals, completions. */
  readonly reserveBytes: number
  readonly everyMs?: number
  readonly onChange: (isKept: boolean, freeBytes: number) => void
  /** For tests; the disk's own word otherwise. */
  readonly freeBytesOf?: (folder: string) => Promise<number>
}

/** Looks now and every few seconds. A disk that can't be asked changes nothing: the database says when it is full. */
export async function watchDisk(options: DiskReserveOptions): Promise<DiskReserve> {
  const { everyMs = 2_000, folder, freeBytesOf = freeOf, onChange, reserveBytes } = options
  let isKept = true
  const look = async (): Promise<void> => {
    let free: number
    try {
      free = await freeBytesOf(folder)
    } catch {
      return
    }
    const now = free >= reserveBytes
    if (now === isKept) return
    isKept = now
    onChange(now, free)
  }
  await look()
  const timer = setInterval(() => void look(), everyMs)
  timer.unref()
  return {
    get isKept() {
      return isKept
    },
    stop: () => clearInterval(timer),
  }
}

async function freeOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}
