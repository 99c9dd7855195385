import type { EvaluationRow, ExpertManifest, TrainingDataRow } from '@thalamus/bundle';
import type {
  HyperParameterName,
  JOB_ARTIFACTS,
  RepairParameters,
  TrainParameters,
} from '@thalamus/contracts';
import type { ErrorCode } from '@thalamus/errors';
import type { MaskSettings, RepairJudgement, TablePart } from '@thalamus/training';

/** A file of labelled rows, or of texts. */
export interface DataFile {
  /** Path of the CSV file, or of the JSONL file. */
  readonly path: string;
  /** Name of the data set, for figures. */
  readonly name: string;
  /** name@version, for messages. */
  readonly label: string;
}

/** Work for a process of its own: numbers are crunched there, files are read and written by path. */
export type JobWork =
  | RepairWork
  | {
      readonly kind: 'train';
      readonly data: DataFile;
      readonly test: DataFile | undefined;
      /** Folder of the verified base bundle. */
      readonly baseFolder: string;
      /** Folder of the masked language model that training begins with. */
      readonly startFolder: string | undefined;
      /** Folder that the bundle is written to. */
      readonly bundleFolder: string;
      readonly facts: {
        readonly name: string;
        readonly version: string;
        readonly description: string;
        readonly licence: string;
        readonly trainingData: Omit<TrainingDataRow, 'rows'>;
        readonly date: string;
      };
      /** Method, hyper-parameters that are not the method's defaults, and seed. */
      readonly wanted: Pick<TrainParameters, 'task' | 'method' | 'keepMethod' | 'seed' | HyperParameterName>;
      readonly common: CommonWork;
    }
  | {
      readonly kind: 'evaluate';
      readonly data: DataFile;
      /** Split that the data set is registered as. */
      readonly split: EvaluationRow['split'];
      readonly expertFolder: string;
      /** Folder of the base that a probe or a low-rank expert stands on. */
      readonly baseFolder: string | undefined;
      /** File that the predictions are written to. */
      readonly predictionsFile: string;
      readonly date: string;
      readonly common: CommonWork;
    }
  | {
      readonly kind: 'loss-table';
      /** Prompts, JSONL. */
      readonly data: DataFile;
      /** Folders of the experts, in the order of the columns. */
      readonly expertFolders: readonly string[];
      /** Folder of the base that they stand on. */
      readonly baseFolder: string | undefined;
      readonly part: TablePart;
      readonly masking: Pick<MaskSettings, 'masks' | 'seed'>;
      /** The file of the checkpoint `losses` is the result. */
      readonly common: CommonWork;
    };

/** The training of a repair. */
export interface RepairWork {
  readonly kind: 'repair';
  readonly data: DataFile;
  readonly test: DataFile | undefined;
  /** Folders of the version that is kept to, and of its base. */
  readonly from: VersionFolders;
  /** Of the version that is repaired. */
  readonly to: VersionFolders;
  /** Folder that the bundle is written to. */
  readonly bundleFolder: string;
  /** Files that the answers of both on the rows that judge are written to. */
  readonly predictionFiles: { readonly old: string; readonly repaired: string };
  readonly facts: {
    readonly version: string;
    /** Default: that of the version that is repaired. */
    readonly description: string | undefined;
    readonly trainingData: Omit<TrainingDataRow, 'rows'>;
    readonly date: string;
  };
  readonly wanted: RepairParameters;
  readonly common: CommonWork;
}

/** Where a version lies. */
export interface VersionFolders {
  readonly expert: string;
  /** Undefined where it stands alone. */
  readonly base: string | undefined;
}

/** What another attempt can go on from. */
export type CheckpointRole = (typeof JOB_ARTIFACTS)['features' | 'training' | 'losses'];

/** What every kind of work needs. */
export interface CommonWork {
  readonly threads: number;
  readonly ignoredColumns: readonly string[];
  /** Files of checkpoints by role: read when they are there, written when a checkpoint is asked for. */
  readonly checkpointFiles: Readonly<Record<CheckpointRole, string>>;
}

/** How far the work is. */
export interface WorkProgress {
  readonly stage: string;
  readonly done: number;
  /** 0 when unknown. */
  readonly total: number;
  /** 0 when unknown. */
  readonly etaMs: number;
  /** Mean loss of the last step in nats; only while training. */
  readonly loss?: number | undefined;
}

/** A step or a validation of a training, for metrics. */
export type TrainingReport =
  | {
      readonly kind: 'step';
      readonly tokens: number;
      /** Absent where it is not known: the first step of an attempt. */
      readonly seconds?: number | undefined;
    }
  | { readonly kind: 'validation'; readonly lossNats: number };

/** What the work gave besides its files. */
export interface WorkResult {
  readonly labels: number;
  /** Rows that were measured on, or trained on, by use. */
  readonly rows: Readonly<Record<string, number>>;
  readonly evaluation: ExpertManifest['evaluation'];
  /** Of a loss table: digest of what decides its figures. */
  readonly run?: string | undefined;
  /** Of a repair: how it was judged, and what is to be said of its rows. */
  readonly judged?:
    | (Pick<RepairJudgement, 'verdict' | 'credit' | 'reason'> & { readonly notes: readonly string[] })
    | undefined;
}

/** What a job process is told. */
export type JobProcessRequest =
  { readonly kind: 'start'; readonly work: JobWork } | { readonly kind: 'checkpoint' };

/** What a job process says. */
export type JobProcessReply =
  | { readonly kind: 'progress'; readonly progress: WorkProgress }
  | { readonly kind: 'training'; readonly report: TrainingReport }
  /** A checkpoint's file has been written. */
  | { readonly kind: 'checkpointed'; readonly role: CheckpointRole }
  | { readonly kind: 'done'; readonly result: WorkResult }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };

/** Who watches the work. */
export interface WorkObserver {
  onProgress(progress: WorkProgress): void;
  onTraining(report: TrainingReport): void;
  /** A checkpoint's file holds more than before. */
  onCheckpoint(role: CheckpointRole): void;
}

/** A running piece of work. */
export interface RunningWork {
  /** Resolves with what the work gave. @throws its own error; EXPERT_CRASHED when its process ended without a word. */
  readonly result: Promise<WorkResult>;
  /** Asks for a checkpoint; `onCheckpoint` says when its file is there. Nothing happens when there is nothing to keep. */
  requestCheckpoint(): void;
  /** Ends the process at once. */
  kill(): void;
}

/** Starts work in a process of its own. */
export type StartWork = (work: JobWork, observer: WorkObserver) => RunningWork;
