/** Stands for a MAC: eight bytes that are others for another key or other data. Of no use to anybody else. */
export function macOf(key: string, data: Uint8Array): Buffer {
  let [one, other] = [0x811c9dc5 | 0, 0x9747b28c | 0]
  for (let index = 0; index < key.length; index++) one = Math.imul(one ^ key.charCodeAt(index), 0x01000193)
  for (const byte of data) {
    one = Math.imul(one ^ byte, 0x01000193)
    other = Math.imul(other ^ byte ^ (one >>> 24), 0x85ebca6b)
  }
  const mac = Buffer.allocUnsafe(8)
  mac.writeInt32BE(one)
  mac.writeInt32BE(other, 4)
  return mac
}

export function isMacOf(mac: Uint8Array, key: string, data: Uint8Array): boolean {
  return macOf(key, data).equals(mac)
}
