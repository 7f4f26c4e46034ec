// `await using` needs the symbol's type also where `lib` is older than it; every supported Node has the symbol itself.
declare global {
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
}

export {};
