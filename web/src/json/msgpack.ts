// MessagePack, as sessions speak it: read into what the page shows as JSON, written from it. Bytes are base64 on screen.
import { type Json, NumberText, put } from "./lossless.ts";

const text = new TextDecoder();

export function unpack(data: Uint8Array): Json {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 0;
  const take = (size: number): Uint8Array => {
    if (at + size > data.length) throw new RangeError("the message ends in the middle");
    at += size;
    return data.subarray(at - size, at);
  };
  const number = (size: number, read: "getUint8" | "getUint16" | "getUint32" | "getInt8" | "getInt16" | "getInt32" | "getFloat32" | "getFloat64"): number => {
    take(size);
    return view[read](at - size);
  };
  const large = (read: "getBigUint64" | "getBigInt64"): Json => {
    take(8);
    const value = view[read](at - 8);
    return Number.isSafeInteger(Number(value)) ? Number(value) : new NumberText(String(value));
  };
  const string = (size: number) => text.decode(take(size));
  const bytes = (size: number) => base64(take(size));
  const array = (size: number): Json[] => Array.from({ length: size }, () => value());
  const map = (size: number): Json => {
    const made = {};
    for (let n = 0; n < size; n++) {
      const name = value();
      put(made, typeof name === "string" ? name : String(name), value());
    }
    return made;
  };
  const extension = (size: number): Json => {
    number(1, "getInt8");
    return bytes(size);
  };

  function value(): Json {
    const head = number(1, "getUint8");
    if (head < 0x80) return head;
    if (head < 0x90) return map(head & 15);
    if (head < 0xa0) return array(head & 15);
    if (head < 0xc0) return string(head & 31);
    if (head >= 0xe0) return head - 256;
    switch (head) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return bytes(number(1, "getUint8"));
      case 0xc5: return bytes(number(2, "getUint16"));
      case 0xc6: return bytes(number(4, "getUint32"));
      case 0xc7: return extension(number(1, "getUint8"));
      case 0xc8: return extension(number(2, "getUint16"));
      case 0xc9: return extension(number(4, "getUint32"));
      case 0xca: return number(4, "getFloat32");
      case 0xcb: return number(8, "getFloat64");
      case 0xcc: return number(1, "getUint8");
      case 0xcd: return number(2, "getUint16");
      case 0xce: return number(4, "getUint32");
      case 0xcf: return large("getBigUint64");
      case 0xd0: return number(1, "getInt8");
      case 0xd1: return number(2, "getInt16");
      case 0xd2: return number(4, "getInt32");
      case 0xd3: return large("getBigInt64");
      case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return extension(1 << (head - 0xd4));
      case 0xd9: return string(number(1, "getUint8"));
      case 0xda: return string(number(2, "getUint16"));
      case 0xdb: return string(number(4, "getUint32"));
      case 0xdc: return array(number(2, "getUint16"));
      case 0xdd: return array(number(4, "getUint32"));
      case 0xde: return map(number(2, "getUint16"));
      case 0xdf: return map(number(4, "getUint32"));
      default: throw new RangeError(`0x${head.toString(16)} begins nothing`);
    }
  }

  return value();
}

/** Bytes of a picture as an address that can be shown, others as base64. */
function base64(data: Uint8Array): string {
  let binary = "";
  for (let n = 0; n < data.length; n += 8192) binary += String.fromCharCode(...data.subarray(n, n + 8192));
  const kind = data[0] === 0xff && data[1] === 0xd8 ? "image/jpeg" : data[0] === 0x89 && data[1] === 0x50 ? "image/png" : "";
  return kind ? `data:${kind};base64,${btoa(binary)}` : btoa(binary);
}

/** What a session takes: JSON, and `Uint8Array` for bytes. */
export function pack(value: Json | Uint8Array): Uint8Array<ArrayBuffer> {
  const parts: number[] = [];
  const u = (size: number, n: number) => {
    for (let shift = size - 1; shift >= 0; shift--) parts.push(Math.floor(n / 2 ** (8 * shift)) & 255);
  };
  const head = (size: number, small: number, smallMost: number, wide: [number, number, number | null]) => {
    if (size <= smallMost) parts.push(small | size);
    else if (wide[2] !== null && size < 256) parts.push(wide[2], size);
    else if (size < 65_536) parts.push(wide[0]), u(2, size);
    else parts.push(wide[1]), u(4, size);
  };
  const float = (n: number) => {
    parts.push(0xcb, ...new Uint8Array(new Float64Array([n]).buffer).toReversed());
  };
  const integer = (n: bigint) => {
    if (n >= 0n && n < 128n) parts.push(Number(n));
    else if (n < 0n && n >= -32n) parts.push(Number(n) + 256);
    else {
      const buffer = new DataView(new ArrayBuffer(8));
      if (n < 0n) buffer.setBigInt64(0, n);
      else buffer.setBigUint64(0, n);
      parts.push(n < 0n ? 0xd3 : 0xcf, ...new Uint8Array(buffer.buffer));
    }
  };
  const write = (one: Json | Uint8Array): void => {
    if (one === null) parts.push(0xc0);
    else if (typeof one === "boolean") parts.push(one ? 0xc3 : 0xc2);
    else if (one instanceof Uint8Array) {
      if (one.length < 256) parts.push(0xc4, one.length);
      else parts.push(0xc6), u(4, one.length);
      for (const byte of one) parts.push(byte);
    } else if (typeof one === "number" || one instanceof NumberText) {
      const written = String(one);
      if (/^-?\d{1,20}$/.test(written)) integer(BigInt(written));
      else float(Number(written));
    } else if (typeof one === "string") {
      const data = new TextEncoder().encode(one);
      head(data.length, 0xa0, 31, [0xda, 0xdb, 0xd9]);
      for (const byte of data) parts.push(byte);
    } else if (Array.isArray(one)) {
      head(one.length, 0x90, 15, [0xdc, 0xdd, null]);
      one.forEach(write);
    } else {
      const names = Object.keys(one);
      head(names.length, 0x80, 15, [0xde, 0xdf, null]);
      for (const name of names) {
        write(name);
        write(one[name] ?? null);
      }
    }
  };
  write(value);
  return Uint8Array.from(parts);
}
