/**
 * Types of the chatops wire, for socket.io-client:
 *
 *     const socket: Socket<ServerToClientEvents, ClientToServerEvents> =
 *       io(url, { path: "/ws/chatops" });
 *
 * Generated from the server's models; do not edit.
 */

/** What the server says of an answer of the assistant. */
export interface AnswerMetadata {
  /** Id of the question. */
  replyTo: string;
  outcome: "completed" | "stopped" | "failed" | "interrupted";
  model?: string;
  steps?: Step[];
  figures?: Figure[];
  cached?: boolean;
  stoppedBy?: Author;
  error?: Failure;
}

/**
 * The `auth` object of the Socket.IO connect packet; all of it optional.
 *
 * `clientId` is a stable random word of the client. It makes the person behind it the same
 * after a reconnect, so that retries are recognised. Nobody else is told it: whoever knows it
 * can connect as that person.
 */
export interface Auth {
  /** 1 to 200 characters. */
  name?: string | null;
  /** Matches `^[!-~]{1,128}$`. */
  clientId?: string | null;
}

/** The person who did it. */
export interface Author {
  id: string;
  name: string;
}

/** `data` of a completed `run_backtest`, and of `rerun` and `backtest` of one. */
export interface BacktestData {
  backtestId: string;
  provenance: Provenance;
  links: Links;
  fingerprint: string;
  /** It is the result of an identical earlier run. */
  reused: boolean;
  rerunOf?: Repeat;
  strategy: StrategyRef;
  symbols: string[];
  timeframe: string;
  start: string;
  end: string;
  cash: number;
  /** Fraction of the traded value, each side. */
  fee: number;
  bars: number;
  /** Of the equally weighted whole. */
  metrics: Metrics;
  /** Buy and hold of the same symbols. */
  benchmark: Metrics;
  /** With several symbols. */
  bySymbol?: Record<string, Metrics>;
  /** Null if the equity never fell. */
  drawdown: Drawdown | null;
  /** Equity curve, decimated: Unix time in seconds, money. */
  points: [number, number][];
  /** Drawdown curve, decimated: Unix time in seconds, fraction. */
  drawdownPoints: [number, number][];
  tradeCount: number;
  openPositions: OpenPosition[];
  engine: string;
}

/** Where a job stands. `version` only grows for a job; the last one has an `outcome`. */
export interface BacktestProgress {
  backtestId: string;
  /** Percent. From 0 to 100. */
  progress: number;
  status: "running" | "completed" | "failed";
  message?: string;
  sessionId: string;
  phase: "queued" | "loading" | "running" | "analyzing" | "saving" | "done";
  /** While it waits; 1 starts next. */
  queuePosition?: number;
  /** Seconds until it ends, estimated. */
  etaSeconds?: number;
  requestedBy: Author;
  outcome?: "completed" | "failed" | "cancelled" | "interrupted" | "reused";
  version: number;
}

/**
 * The command was understood and its text stored; `commandResult` will follow.
 *
 * A private command is not stored; its ack has no `message`.
 */
export interface CommandAck {
  ok: true;
  commandId: string;
  message?: Message;
}

/** The end of one command. `seq` is missing on a result that only its caller sees. */
export interface CommandResult {
  success: boolean;
  /** Markdown for a person. */
  message: string;
  data?: ResultData;
  commandId: string;
  command: string;
  sessionId: string;
  seq?: number;
  requestedBy: Author;
  /** Milliseconds from the request to its end. */
  durationMs: number;
}

/** A `commandResult` of the log. */
export interface CommandResultEntry {
  success: boolean;
  /** Markdown for a person. */
  message: string;
  data?: ResultData;
  commandId: string;
  command: string;
  sessionId: string;
  seq?: number;
  requestedBy: Author;
  /** Milliseconds from the request to its end. */
  durationMs: number;
  type: "commandResult";
}

/** One member of a comparison; `ranks` has its place by each metric that ranks. */
export interface ComparedStrategy {
  strategyId: string;
  name: string;
  symbols: string[];
  metrics: Metrics;
  ranks: Record<string, number | null>;
}

/** `data` of a completed `compare_strategies`, and of `rerun` and `backtest` of one. */
export interface ComparisonData {
  backtestId: string;
  provenance: Provenance;
  links: Links;
  fingerprint: string;
  /** It is the result of an identical earlier run. */
  reused: boolean;
  rerunOf?: Repeat;
  strategies: ComparedStrategy[];
  ranking: RankingRow[];
  correlation: Matrix;
  monteCarlo: MonteCarlo;
  regimes: Regimes;
  summary: string;
  recommendation: string;
  reasoning: string;
}

/** Completions, best first. */
export interface CompleteAck {
  ok: true;
  items: CompletionItem[];
}

/** Ask what could stand at the end of the input box. */
export interface CompleteCommand {
  /** Matches `^[A-Za-z0-9_-]{1,64}$`. */
  sessionId: string;
  /** 0 to 5000 characters. */
  text: string;
}

/** One completion: the whole input with it, its own text, and what it is. */
export interface CompletionItem {
  value: string;
  label: string;
  detail: string;
}

/** Dates of the deepest fall; `recovery` is null if it lasts to the end. */
export interface Drawdown {
  peak: string;
  trough: string;
  recovery: string | null;
}

/** It was not done; `error` says why. */
export interface ErrorAck {
  ok: false;
  error: WireError;
}

export type ErrorCode =
  | "bad_payload"
  | "unknown_event"
  | "unknown_command"
  | "bad_parameter"
  | "not_allowed"
  | "not_found"
  | "conflict"
  | "rate_limited"
  | "limit_exceeded"
  | "queue_full"
  | "upstream_failed"
  | "assistant_off"
  | "model_not_allowed"
  | "budget_used"
  | "store_unavailable"
  | "shutting_down"
  | "internal";

/** Run a command in the room; `parameters` are named values, `{args: [...]}` or both. */
export interface ExecuteCommand {
  /** Matches `^[A-Za-z0-9_-]{1,64}$`. */
  sessionId: string;
  /** 1 to 5000 characters. */
  command: string;
  parameters?: Record<string, unknown> | null;
  /** Matches `^[!-~]{1,128}$`. */
  clientMessageId?: string | null;
}

/** Why a command has no result; `code` as in `error`, or how the job ended. */
export interface Failure {
  code: string;
  message: string;
  hint: string | null;
}

/** `data` of a result whose `success` is false. */
export interface FailureData {
  error: Failure;
  backtestId?: string;
}

/** Bands of simulated growth of 1: for each percentile one value a step. */
export interface Fan {
  steps: number[];
  growth: Record<string, number[]>;
}

/** A figure in an answer; verified: a result, or what somebody said, bears it out. */
export interface Figure {
  /** As it stands in the answer. */
  text: string;
  /** What the server filled in, `r1.sharpe_ratio`. */
  ref?: string;
  verified: boolean;
}

/**
 * The room at the moment of entering it. Live events continue exactly where it ends.
 *
 * `more`: the log did not fit; the room is not entered yet, join again with the last `seq`.
 * `gap`: entries after `afterSeq` are no longer kept.
 */
export interface JoinAck {
  ok: true;
  session: SessionInfo;
  /** Who you are as an author and member. */
  you: Author;
  entries: (MessageEntry | CommandResultEntry)[];
  more: boolean;
  gap: boolean;
  jobs: BacktestProgress[];
  /** Messages that are being written at this moment. */
  streams?: Stream[];
}

/** Enter the room and read its log after `afterSeq`, or its newest `limit` entries. */
export interface JoinSession {
  /** Matches `^[A-Za-z0-9_-]{1,64}$`. */
  sessionId: string;
  /** From 0 to 9007199254740992. */
  afterSeq?: number | null;
  /** From 0 to 500. */
  limit?: number | null;
  /** 1 to 200 characters. */
  name?: string | null;
}

/** Leave the room. */
export interface LeaveSession {
  /** Matches `^[A-Za-z0-9_-]{1,64}$`. */
  sessionId: string;
}

/** Paths of downloads on this server. */
export interface Links {
  self: string;
  chart: string;
  report: string;
  equity?: string;
  trades?: string;
  metrics?: string;
}

/** A square table; null where a figure is undefined. */
export interface Matrix {
  labels: string[];
  matrix: ((number | null)[])[];
}

/** A person in the room, since when. */
export interface Member {
  id: string;
  name: string;
  /** RFC 3339, UTC, milliseconds. */
  since: string;
}

/** One member by market regime. */
export interface MemberRegimes {
  strategyId: string;
  name: string;
  regimes: Record<"bull" | "bear" | "sideways", RegimeFigures>;
}

/** One message of the room's log. */
export interface Message {
  id: string;
  sessionId: string;
  role: "user" | "assistant" | "system";
  content: string;
  /** RFC 3339, UTC, milliseconds. */
  timestamp: string;
  /** The sender's own; `commandId` is the server's: the text is a command. */
  metadata?: Metadata;
  /** Number in the session's log: 1, 2, 3, ... without holes. */
  seq: number;
  author?: Author;
  clientMessageId?: string;
}

/** The stored message. A private command is not stored; its ack has `commandId` alone. */
export interface MessageAck {
  ok: true;
  message?: Message;
  commandId?: string;
}

/**
 * More of a message that is being written; the pieces in their order are its text so far.
 *
 * `index` only grows. The `message` that ends it has the same id, and the whole text.
 */
export interface MessageDelta {
  sessionId: string;
  messageId: string;
  /** Id of the message that is answered. */
  replyTo: string;
  index: number;
  /** Empty where it only shows that somebody writes. */
  delta: string;
  /** The command that the assistant runs now. */
  doing?: string;
}

/** A `message` of the log. */
export interface MessageEntry {
  id: string;
  sessionId: string;
  role: "user" | "assistant" | "system";
  content: string;
  /** RFC 3339, UTC, milliseconds. */
  timestamp: string;
  /** The sender's own; `commandId` is the server's: the text is a command. */
  metadata?: Metadata;
  /** Number in the session's log: 1, 2, 3, ... without holes. */
  seq: number;
  author?: Author;
  clientMessageId?: string;
  type: "message";
}

export type Metadata =
  | Record<string, unknown>
  | AnswerMetadata;

/** Figures of one run. Ratios are fractions (0.1 is 10 %), losses negative; null: undefined. */
export interface Metrics {
  /** Gain by the end, part of the money at first. */
  total_return: number | null;
  /** Compound return a year. */
  annual_return: number | null;
  /** Standard deviation of returns, a year. */
  volatility: number | null;
  /** Risk-free rate 0, a year. */
  sharpe_ratio: number | null;
  /** As Sharpe, over downward deviation only. */
  sortino_ratio: number | null;
  /** Annual return over deepest drawdown. */
  calmar_ratio: number | null;
  /** Deepest fall from a peak; 0 or negative. */
  max_drawdown: number | null;
  /** Return of a bar that 95 % of bars exceed. */
  var_95: number | null;
  /** Mean return of the bars not above `var_95`. */
  cvar_95: number | null;
  /** Part of the closed trades that gained. */
  win_rate: number | null;
  /** Sum of gains over sum of losses. */
  profit_factor: number | null;
  /** Closed trades. */
  trades: number;
  /** Part of the time in the market. */
  exposure: number | null;
  /** Money at the end. */
  final_equity: number | null;
}

/** The simulation. `ahead`: part of paths on which the row ends above the column. */
export interface MonteCarlo {
  paths: number;
  block: number;
  seed: number;
  bars: number;
  members: SimulatedMember[];
  ahead: Matrix;
}

/** It was done, and what had to be stored is stored. */
export interface OkAck {
  ok: true;
}

/** A position that the last bar leaves open. */
export interface OpenPosition {
  symbol: string;
  entryTime: string;
  entryPrice: number;
  shares: number;
  lastPrice: number;
  value: number;
}

/** Who is in the room: the 100 longest present, and how many there are. */
export interface Presence {
  sessionId: string;
  members: Member[];
  total: number;
}

/** What the fingerprint is made of; equal provenance gives equal results. */
export interface Provenance {
  /** SHA-256 of each file of code that took part. */
  code: Record<string, string>;
  /** SHA-256 of each input. */
  data: Record<string, string>;
  /** Versions of the libraries. */
  engine: Record<string, string>;
  /** The request. */
  settings: Record<string, unknown>;
}

/** A place in the ranking; `score` is a mean of ranks, lower is better. */
export interface RankingRow {
  rank: number;
  strategyId: string;
  name: string;
  score: number | null;
}

/** `data` of the library's `connect_error`, when the server lets nobody in. */
export interface Refusal {
  code: ErrorCode;
  hint: string | null;
}

/** Figures of the days of one regime; null where they are too few. */
export interface RegimeFigures {
  days: number;
  share: number | null;
  annual_return: number | null;
  volatility: number | null;
  sharpe_ratio: number | null;
}

/** Performance by market regime, and the rule that tells one from the other. */
export interface Regimes {
  rule: string;
  /** Bars. */
  lookback: number;
  /** Fraction. */
  threshold: number;
  members: MemberRegimes[];
}

/** How a repeated run compares with the first. */
export interface Repeat {
  backtestId: string;
  identical: boolean;
  /** Sentences that name what changed. */
  differences: string[];
}

export type ResultData =
  | BacktestData
  | ComparisonData
  | FailureData
  | Record<string, unknown>;

/** Say something to the room; text that begins with `/` is a command, `//` stands for `/`. */
export interface SendMessage {
  /** Matches `^[A-Za-z0-9_-]{1,64}$`. */
  sessionId: string;
  /** 1 to 5000 characters. */
  content: string;
  /**
   * A retry with the same id is stored once and acked with the first. Matches `^[!-~]{1,128}$`.
   */
  clientMessageId?: string | null;
  metadata?: Record<string, unknown> | null;
}

/** A session as a member sees it. */
export interface SessionInfo {
  id: string;
  epoch: string;
  title: string;
  owner: string;
  lastSeq: number;
  members: Member[];
  /** RFC 3339, UTC, milliseconds. */
  createdAt: string;
  assistant: "always" | "addressed" | "off";
}

/** What block bootstrap says of one member. Keys of percentiles are `"5"` to `"95"`. */
export interface SimulatedMember {
  strategyId: string;
  name: string;
  probabilityOfLoss: number;
  probabilityOfDrawdown20: number;
  probabilityOfDrawdown30: number;
  historicDrawdown: number;
  probabilityOfHistoricDrawdown: number;
  terminalReturn: Record<string, number | null>;
  fan: Fan;
}

/** A command that the assistant ran for its answer, as the person who asked. */
export interface Step {
  /** The line that says the same. */
  command: string;
  arguments: Record<string, unknown>;
  /** What came of it, one line. */
  summary: string;
  durationMs: number;
  success: boolean;
}

/** Whether an answer was being given, which ends now. */
export interface StopAck {
  ok: true;
  stopped: boolean;
}

/** End the answer that is being given, or the one of `messageId`; what was said stays. */
export interface StopGeneration {
  /** Matches `^[A-Za-z0-9_-]{1,64}$`. */
  sessionId: string;
  /** 0 to 64 characters. */
  messageId?: string | null;
}

/** The strategy as it ran. */
export interface StrategyRef {
  id: string;
  type: string;
  version: number;
  params: Record<string, unknown>;
}

/**
 * A message that is being written, as far as it was; `messageDelta`s continue after `index`.
 */
export interface Stream {
  messageId: string;
  replyTo: string;
  index: number;
  content: string;
}

/** What went wrong, for a person; the server's log has the cause under `requestId`. */
export interface WireError {
  /** One sentence: what is wrong. */
  message: string;
  code: ErrorCode;
  /** One sentence: what to do. */
  hint?: string;
  requestId: string;
  sessionId?: string;
  retryAfterSeconds?: number;
  clientMessageId?: string;
}

/**
 * What a client may emit. `emitWithAck` cannot see the type of an ack that is optional: write
 * `const reply: MessageAck | ErrorAck = await socket.emitWithAck(...)`.
 */
export interface ClientToServerEvents {
  joinSession: (payload: string | JoinSession, ack?: (reply: JoinAck | ErrorAck) => void) => void;
  leaveSession: (payload: string | LeaveSession, ack?: (reply: OkAck | ErrorAck) => void) => void;
  sendMessage: (payload: SendMessage, ack?: (reply: MessageAck | ErrorAck) => void) => void;
  executeCommand: (payload: ExecuteCommand, ack?: (reply: CommandAck | ErrorAck) => void) => void;
  stopGeneration: (payload: string | StopGeneration, ack?: (reply: StopAck | ErrorAck) => void) => void;
  completeCommand: (payload: CompleteCommand, ack?: (reply: CompleteAck | ErrorAck) => void) => void;
}

/** What a client may listen to. */
export interface ServerToClientEvents {
  message: (payload: Message) => void;
  backtestProgress: (payload: BacktestProgress) => void;
  commandResult: (payload: CommandResult) => void;
  error: (payload: WireError) => void;
  presence: (payload: Presence) => void;
  messageDelta: (payload: MessageDelta) => void;
}
