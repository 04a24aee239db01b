import { DescribeImagesCommand, type DescribeImagesCommandInput, type Image } from '@aws-sdk/client-ec2';
import { GetParameterCommand } from '@aws-sdk/client-ssm';
import type { Ec2Config } from '../../../contracts/config/ec2.ts';
import { BatonError } from '../../../contracts/errors.ts';
import { callEc2, type Ec2Clients } from './client.ts';

/** How long a found image is used: a newer one of the same filter or parameter is noticed after that. */
const CACHE_MS = 300_000;

/** The image that instances boot from. */
export interface Ec2Image {
  id: string;
  /** `/dev/xvda`: the root volume can only be configured by the name that the image gives it. */
  rootDevice: string;
  /** The size of its root volume; an instance's may be larger. */
  rootGib: number | undefined;
}

type Source = NonNullable<Ec2Config['image']>;

/** Finds images, and caches them for some minutes: a burst of runners causes one call. */
export class Ec2Images {
  readonly #clients: Ec2Clients;
  readonly #cache = new Map<string, { image: Promise<Ec2Image>; until: number }>();

  constructor(clients: Ec2Clients) {
    this.#clients = clients;
  }

  /** @throws BatonError IMAGE_MISSING when there is none, or none that is available */
  async find(source: Source, abort: AbortSignal): Promise<Ec2Image> {
    const key = JSON.stringify(source);
    const known = this.#cache.get(key);
    if (known !== undefined && known.until > Date.now()) return known.image;
    const image = this.#search(source, abort);
    this.#cache.set(key, { image, until: Date.now() + CACHE_MS });
    image.catch(() => this.#cache.delete(key));
    return image;
  }

  async #search(source: Source, abort: AbortSignal): Promise<Ec2Image> {
    if (source.ssm !== undefined)
      return this.#describe({ ImageIds: [await this.#readParameter(source.ssm, abort)] }, abort);
    if (source.id !== undefined) return this.#describe({ ImageIds: [source.id] }, abort);
    const filters = Object.entries(source.filter ?? {}).map(([Name, value]) => ({ Name, Values: [value] }));
    return this.#describe({ Filters: filters, ...(source.owner && { Owners: [source.owner] }) }, abort);
  }

  async #readParameter(name: string, abort: AbortSignal): Promise<string> {
    const doing = `looking up the image in SSM parameter ${name}`;
    const command = new GetParameterCommand({ Name: name });
    const { Parameter: parameter } = await callEc2(doing, abort, (o) => this.#clients.ssm.send(command, o), 'invalid');
    const value = parameter?.Value ?? '';
    if (/^ami-[0-9a-f]+$/.test(value)) return value;
    throw new BatonError('IMAGE_MISSING', `${doing}: its value is not an image id (ami-…)`);
  }

  async #describe(what: DescribeImagesCommandInput, abort: AbortSignal): Promise<Ec2Image> {
    const text = JSON.stringify(what.ImageIds ?? what.Filters);
    const command = new DescribeImagesCommand(what);
    const answer = await callEc2(
      `looking for image ${text}`,
      abort,
      (o) => this.#clients.ec2.send(command, o),
      'invalid',
    );
    const usable = (answer.Images ?? []).filter(({ State }) => State === 'available');
    const newest = usable.toSorted((a, b) => getCreationTime(b) - getCreationTime(a))[0];
    if (newest?.ImageId !== undefined) {
      const rootDevice = newest.RootDeviceName ?? '/dev/xvda';
      const root = newest.BlockDeviceMappings?.find(({ DeviceName: name }) => name === rootDevice);
      return { id: newest.ImageId, rootDevice, rootGib: root?.Ebs?.VolumeSize };
    }
    throw new BatonError('IMAGE_MISSING', `looking for image ${text}: no available image matches`);
  }
}

function getCreationTime({ CreationDate: date }: Image): number {
  return new Date(date ?? 0).getTime();
}
