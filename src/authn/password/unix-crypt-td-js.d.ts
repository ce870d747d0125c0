declare module 'unix-crypt-td-js' {
  /** DES crypt(3) of the password's bytes under a salt of two characters. */
  function unixCryptTD(password: readonly number[], salt: string): string
  export = unixCryptTD
}
